package apiserver

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var (
	works            = schema.GroupVersionResource{Group: "work.karmada.io", Version: "v1alpha1", Resource: "works"}
	resourceBindings = workv1alpha2.SchemeGroupVersion.WithResource("resourcebindings")
	policies         = policyv1alpha1.SchemeGroupVersion.WithResource("propagationpolicies")
	allDeployments   = policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}
)

func deployment(ns, name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}},
			},
		},
	}
}

func policy(ns, name string, selectors ...policyv1alpha1.ResourceSelector) *policyv1alpha1.PropagationPolicy {
	return &policyv1alpha1.PropagationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: policyv1alpha1.SchemeGroupVersion.String(), Kind: "PropagationPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       policyv1alpha1.PropagationSpec{ResourceSelectors: selectors},
	}
}

func create(t *testing.T, objs ...client.Object) {
	t.Helper()
	for _, obj := range objs {
		require.NoError(t, fed.Create(t.Context(), obj))
	}
}

// bind makes the binding of a Deployment, placed in clusters with one replica
// more in each, as the controllers would.
func bind(t *testing.T, d *appsv1.Deployment, clusters ...string) *workv1alpha2.ResourceBinding {
	t.Helper()
	b := &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: names.BindingName("Deployment", d.Name),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name, UID: d.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true)}},
		},
		Spec: workv1alpha2.ResourceBindingSpec{
			Resource: workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: d.Namespace, Name: d.Name, UID: d.UID},
			Replicas: *d.Spec.Replicas,
			Placement: &policyv1alpha1.Placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
				ReplicaSchedulingType: policyv1alpha1.ReplicaSchedulingTypeDivided, ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceWeighted,
			}},
		},
	}
	for i, c := range clusters {
		b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c, Replicas: int32(i + 1)})
	}
	create(t, b)
	return b
}

// placed makes a policy, a claimed Deployment and its binding, and waits for the
// Works.
func placed(t *testing.T, ns, name string, clusters ...string) (*appsv1.Deployment, *workv1alpha2.ResourceBinding) {
	t.Helper()
	p := policy(ns, "p-"+name, policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", Name: name})
	d := deployment(ns, name)
	create(t, p, d)
	b := bind(t, d, clusters...)
	for _, c := range clusters {
		workOf(t, d, c)
	}
	return d, b
}

// workOf waits for the Work of a Deployment in a cluster, with its manifest.
func workOf(t *testing.T, d *appsv1.Deployment, cluster string) *workv1alpha1.Work {
	t.Helper()
	w := &workv1alpha1.Work{}
	key := client.ObjectKey{Namespace: names.ExecutionNamespace(cluster), Name: names.WorkName("Deployment", d.Namespace, d.Name)}
	eventually(t, func() bool {
		return fed.Get(t.Context(), key, w) == nil && len(w.Spec.Workload.Manifests) == 1
	}, "work %s", key)
	return w
}

// manifestOf decodes the Deployment of a Work.
func manifestOf(t *testing.T, w *workv1alpha1.Work) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	require.Len(t, w.Spec.Workload.Manifests, 1)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(decode(t, w.Spec.Workload.Manifests[0].Raw), d))
	return d
}

// configMapWork is a Work that somebody made.
func configMapWork(cluster, name string) *workv1alpha1.Work {
	return &workv1alpha1.Work{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace(cluster), Name: name},
		Spec: workv1alpha1.WorkSpec{Workload: workv1alpha1.WorkloadTemplate{Manifests: []workv1alpha1.Manifest{
			{RawExtension: runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + name + `","namespace":"default"}}`)}},
		}}},
	}
}

// bindingFor places any template in clusters, undivided.
func bindingFor(t *testing.T, obj client.Object, ns, name string, clusters ...string) *workv1alpha2.ResourceBinding {
	t.Helper()
	gvk, err := fed.GroupVersionKindFor(obj)
	require.NoError(t, err)
	b := &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: obj.GetName(), UID: obj.GetUID()},
		}},
		Spec: workv1alpha2.ResourceBindingSpec{Resource: workv1alpha2.ObjectReference{
			APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(),
		}},
	}
	for _, c := range clusters {
		b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c})
	}
	return b
}
