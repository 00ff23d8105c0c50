package projection

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

var (
	deployments = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	epoch       = uint32(1_800_000_000)
)

func newProjection(clusters ...string) *Projection {
	p := New(interpreter.New(), epoch)
	p.SetPlural(deployments, "deployments")
	for _, c := range clusters {
		p.SetCluster(cluster(c))
	}
	return p
}

func cluster(name string) *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func deployment(name string, replicas int64, image string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{
			"name": name, "namespace": "default", "uid": "uid-" + name, "generation": int64(1),
			"labels": map[string]any{
				"app": name, names.LabelBound: "true", names.PropagationPolicyPermanentIDLabel: "id",
			},
			"annotations": map[string]any{names.PropagationPolicyNameAnnotation: "p"},
		},
		"spec": map[string]any{
			"replicas": replicas,
			"template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "c", "image": image}},
			}},
		},
	}}
}

func divided(name string, clusters ...workv1alpha2.TargetCluster) *workv1alpha2.ResourceBinding {
	return &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name: names.BindingName("Deployment", name), Namespace: "default", UID: types.UID("rb-" + name),
			Labels: map[string]string{names.ResourceBindingPermanentIDLabel: "pid-" + name},
		},
		Spec: workv1alpha2.ResourceBindingSpec{
			Resource: workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: name},
			Placement: &policyv1alpha1.Placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
				ReplicaSchedulingType: policyv1alpha1.ReplicaSchedulingTypeDivided,
			}},
			Clusters: clusters,
		},
	}
}

func on(cluster string, replicas int32) workv1alpha2.TargetCluster {
	return workv1alpha2.TargetCluster{Name: cluster, Replicas: replicas}
}

func list(t require.TestingT, p *Projection, cluster string) *workv1alpha1.WorkList {
	l, err := p.List(cluster, WatchOptions{})
	require.NoError(t, err)
	return l
}

func onlyWork(t *testing.T, p *Projection, cluster string) *workv1alpha1.Work {
	t.Helper()
	l := list(t, p, cluster)
	require.Len(t, l.Items, 1)
	return &l.Items[0]
}

func manifestOf(t *testing.T, w *workv1alpha1.Work) *unstructured.Unstructured {
	t.Helper()
	require.Len(t, w.Spec.Workload.Manifests, 1, "%v", w.Status.Conditions)
	obj := &unstructured.Unstructured{}
	require.NoError(t, obj.UnmarshalJSON(w.Spec.Workload.Manifests[0].Raw))
	return obj
}

func replicasOf(t *testing.T, w *workv1alpha1.Work) int64 {
	t.Helper()
	n, found, err := unstructured.NestedInt64(manifestOf(t, w).Object, "spec", "replicas")
	require.NoError(t, err)
	require.True(t, found)
	return n
}

func number(i int) string { return fmt.Sprintf("d%d", i) }
