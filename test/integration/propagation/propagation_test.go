package propagation

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
)

func deployment(ns, name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
			},
		},
	}
}

func policy(ns, name string, selectors ...policyv1alpha1.ResourceSelector) *policyv1alpha1.PropagationPolicy {
	return &policyv1alpha1.PropagationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       policyv1alpha1.PropagationSpec{ResourceSelectors: selectors},
	}
}

var deployments = policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}

func create(t *testing.T, objs ...client.Object) {
	t.Helper()
	for _, obj := range objs {
		require.NoError(t, fed.Create(t.Context(), obj))
	}
}

// update writes an object changed, however often it takes.
func update[T client.Object](t *testing.T, obj T, change func(T)) {
	t.Helper()
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(obj), obj))
		change(obj)
		err := fed.Update(t.Context(), obj)
		if err != nil && !apierrors.IsConflict(err) {
			require.NoError(t, err)
		}
		return err == nil
	}, "update")
}

// holder names the policy that an object belongs to.
func holder(t *testing.T, obj client.Object) string {
	t.Helper()
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(obj), obj))
	return claim.IndexKey(obj)
}

// bindingOf waits for the binding of a Deployment that satisfies a condition.
func bindingOf(t *testing.T, obj client.Object, condition func(*workv1alpha2.ResourceBinding) bool) *workv1alpha2.ResourceBinding {
	t.Helper()
	b := &workv1alpha2.ResourceBinding{}
	key := client.ObjectKey{Namespace: obj.GetNamespace(), Name: names.BindingName("Deployment", obj.GetName())}
	eventually(t, func() bool {
		err := fed.Get(context.Background(), key, b)
		return err == nil && condition(b)
	}, "binding %s", key)
	return b
}

func exists(*workv1alpha2.ResourceBinding) bool { return true }

func reasons(t *testing.T, obj client.Object) (out []string) {
	t.Helper()
	list := &corev1.EventList{}
	require.NoError(t, fed.List(t.Context(), list, client.InNamespace(obj.GetNamespace())))
	for _, e := range list.Items {
		if e.InvolvedObject.UID == obj.GetUID() {
			out = append(out, e.Reason)
		}
	}
	slices.Sort(out)
	return out
}

func TestClaimInAdmissionCostsThreeWrites(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	create(t, policy(ns, "p", deployments))
	before := fed.Settled(t)

	web := deployment(ns, "web")
	create(t, web)
	assert.Equal(t, "PropagationPolicy "+ns+"/p", holder(t, web), "claimed in the write that creates it")
	b := bindingOf(t, web, exists)
	assert.Equal(t, int32(3), b.Spec.Replicas)
	assert.Equal(t, web.UID, b.Spec.Resource.UID)
	assert.Len(t, fed.Writes(t, before), 3, "template, binding, event")
	assert.Equal(t, []string{"ApplyPolicySucceed"}, reasons(t, web))
}

func TestLateClaimCostsThreeWrites(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	web, other := deployment(ns, "web"), deployment(ns, "other")
	create(t, web, other)
	before := fed.Settled(t)

	create(t, policy(ns, "p", policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}))
	bindingOf(t, web, exists)
	assert.Len(t, fed.Writes(t, before), 4, "policy, claim, binding, event")
	assert.Empty(t, holder(t, other))
}

func TestPolicyEditCostsOneWritePerTemplate(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	p := policy(ns, "p", deployments)
	create(t, p)
	var all []*appsv1.Deployment
	for i := range 5 {
		all = append(all, deployment(ns, fmt.Sprintf("web-%d", i)))
		create(t, all[i])
		bindingOf(t, all[i], exists)
	}
	before := fed.Settled(t)
	update(t, p, func(p *policyv1alpha1.PropagationPolicy) {
		p.Spec.Placement.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}
	})
	for _, d := range all {
		bindingOf(t, d, func(b *workv1alpha2.ResourceBinding) bool { return b.Spec.Placement.ClusterAffinity != nil })
	}
	assert.Len(t, fed.Writes(t, before), 1+len(all), "the policy, and each binding once")
}

func TestScaleReachesTheBinding(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	web := deployment(ns, "web")
	create(t, policy(ns, "p", deployments), web)
	b := bindingOf(t, web, exists)
	b.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 3}}
	require.NoError(t, fed.Update(t.Context(), b))

	update(t, web, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](10) })
	b = bindingOf(t, web, func(b *workv1alpha2.ResourceBinding) bool { return b.Spec.Replicas == 10 })
	assert.Equal(t, []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 3}}, b.Spec.Clusters, "the scheduler's field")
	eventually(t, func() bool { return slices.Contains(reasons(t, web), "SyncWorkSucceed") }, "the scheduler's choice is told")
}

func TestReleaseAndDelete(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	web, api := deployment(ns, "web"), deployment(ns, "api")
	p := policy(ns, "p", deployments)
	create(t, p, web, api)
	bindingOf(t, web, exists)
	bindingOf(t, api, exists)

	update(t, p, func(p *policyv1alpha1.PropagationPolicy) { p.Spec.ResourceSelectors[0].Name = "web" })
	b := bindingOf(t, api, func(b *workv1alpha2.ResourceBinding) bool { return !claim.HasMarks(b) })
	assert.NotNil(t, b.Spec.Placement, "what was placed stays")
	assert.Empty(t, holder(t, api))
	assert.NotEmpty(t, holder(t, web))

	require.NoError(t, fed.Delete(t.Context(), p))
	bindingOf(t, web, func(b *workv1alpha2.ResourceBinding) bool { return !claim.HasMarks(b) })
	assert.Empty(t, holder(t, web))
	assert.Equal(t, "true", web.Labels[names.LabelBound])

	require.NoError(t, fed.Delete(t.Context(), web))
	eventually(t, func() bool {
		list := &workv1alpha2.ResourceBindingList{}
		require.NoError(t, fed.List(t.Context(), list, client.InNamespace(ns)))
		return len(list.Items) == 1
	}, "the binding goes with its template, claimed or not")
}

func TestTemplateMadeAnewKeepsItsPlace(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	web := deployment(ns, "web")
	create(t, policy(ns, "p", deployments), web)
	bindingOf(t, web, exists)
	require.NoError(t, fed.Delete(t.Context(), web))
	again := deployment(ns, "web")
	create(t, again)
	b := bindingOf(t, again, func(b *workv1alpha2.ResourceBinding) bool { return b.Spec.Resource.UID == again.UID })
	require.Len(t, b.OwnerReferences, 1)
	assert.Equal(t, again.UID, b.OwnerReferences[0].UID)
}

func TestEditsWhileNothingRuns(t *testing.T) {
	stop := startControllers(t)
	ns := newNamespace(t)
	deselected, orphaned, late, gone := deployment(ns, "deselected"), deployment(ns, "orphaned"), deployment(ns, "late"), deployment(ns, "gone")
	p, q := policy(ns, "p", deployments), policy(ns, "q", deployments)
	p.Spec.ResourceSelectors[0].LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"deselected", "gone"}}}}
	q.Spec.ResourceSelectors[0].Name = "orphaned"
	create(t, p, q, deselected, orphaned, late, gone)
	for _, d := range []*appsv1.Deployment{deselected, orphaned, gone} {
		bindingOf(t, d, exists)
	}
	stop()

	update(t, p, func(p *policyv1alpha1.PropagationPolicy) {
		p.Spec.ResourceSelectors[0] = policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", Name: "late"}
	})
	require.NoError(t, fed.Delete(t.Context(), q))
	require.NoError(t, fed.Delete(t.Context(), gone))
	startControllers(t)
	bindingOf(t, late, exists)
	for _, d := range []*appsv1.Deployment{deselected, orphaned} {
		bindingOf(t, d, func(b *workv1alpha2.ResourceBinding) bool { return !claim.HasMarks(b) })
		assert.Empty(t, holder(t, d))
	}
	eventually(t, func() bool {
		b := &workv1alpha2.ResourceBinding{}
		return apierrors.IsNotFound(fed.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "gone-deployment"}, b))
	}, "a template that went unseen")
}

func TestRestartWritesNothing(t *testing.T) {
	stop := startControllers(t)
	ns := newNamespace(t)
	create(t, policy(ns, "p", deployments), policy(ns, "q", policyv1alpha1.ResourceSelector{APIVersion: "none.example.io/v1", Kind: "None"}))
	for i := range 3 {
		d := deployment(ns, fmt.Sprintf("web-%d", i))
		create(t, d)
		report(t, d, `{"replicas":1,"readyReplicas":1,"generation":1,"observedGeneration":1,"resourceTemplateGeneration":1}`)
	}
	before := fed.Settled(t)
	stop()
	startControllers(t)
	assert.Empty(t, fed.Writes(t, before))
}

// report does what scheduler and agent would: the Deployment goes to cluster eu,
// whose agent has applied it and reports a status.
func report(t *testing.T, d *appsv1.Deployment, status string) {
	t.Helper()
	b := bindingOf(t, d, exists)
	update(t, b, func(b *workv1alpha2.ResourceBinding) {
		b.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 3}}
	})
	work := &workv1alpha1.Work{}
	key := client.ObjectKey{Namespace: names.ExecutionNamespace("eu"), Name: names.WorkName("Deployment", d.Namespace, d.Name)}
	eventually(t, func() bool { return fed.Get(t.Context(), key, work) == nil }, "work")
	sent := &agentv1alpha1.StatusReport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "eu"}}
	sent.Spec.Works = []agentv1alpha1.WorkObservation{{
		Name: work.Name, UID: work.UID, Applied: true, Reason: "AppliedSuccessful", Health: string(workv1alpha2.ResourceHealthy),
		Status: &runtime.RawExtension{Raw: []byte(status)},
	}}
	require.NoError(t, fed.Create(t.Context(), sent))
	require.Empty(t, sent.Status.Rejected)
	bindingOf(t, d, func(b *workv1alpha2.ResourceBinding) bool {
		return meta.IsStatusConditionTrue(b.Status.Conditions, workv1alpha2.FullyApplied)
	})
}

func TestStatusComesBack(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	web := deployment(ns, "web")
	create(t, policy(ns, "p", deployments), web)
	report(t, web, `{"replicas":3,"readyReplicas":3,"availableReplicas":3,"updatedReplicas":3,"generation":1,"observedGeneration":1,"resourceTemplateGeneration":1}`)
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(web), web))
		return web.Status.ReadyReplicas == 3
	}, "status of the template")
	eventually(t, func() bool {
		said := reasons(t, web)
		return slices.Contains(said, "SyncSucceed") && slices.Contains(said, "AggregateStatusSucceed")
	}, "events")
	before := fed.Settled(t)
	report(t, web, `{"replicas":3,"readyReplicas":3,"availableReplicas":3,"updatedReplicas":3,"generation":1,"observedGeneration":1,"resourceTemplateGeneration":1}`)
	assert.Empty(t, fed.Writes(t, before), "the same report again costs nothing")
}

func TestKindsThatComeLater(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	group := ns + ".example.io"
	thing := func(version, name string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"a": "b"}}}
		u.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: "Thing"})
		u.SetNamespace(ns)
		u.SetName(name)
		return u
	}
	bound := func(name string, want bool) {
		t.Helper()
		eventually(t, func() bool {
			err := fed.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name + "-thing"}, &workv1alpha2.ResourceBinding{})
			return err == nil == want
		}, "binding of %s: %v", name, want)
	}
	p := policy(ns, "p", policyv1alpha1.ResourceSelector{APIVersion: group + "/v1", Kind: "Thing"})
	create(t, p)
	eventually(t, func() bool { return slices.Contains(reasons(t, p), "ApplyPolicyFailed") }, "the policy says what is missing")

	crd := definition(group, "v1")
	create(t, crd)
	eventually(t, func() bool { return fed.Create(t.Context(), thing("v1", "one")) == nil }, "the kind is served")
	bound("one", true)

	// The kind moves to another version altogether.
	update(t, crd, func(u *unstructured.Unstructured) {
		u.Object["spec"] = definition(group, "v1", "v2").Object["spec"]
	})
	eventually(t, func() bool { return fed.Create(t.Context(), thing("v2", "two")) == nil }, "the second version is served")
	bound("two", true)
	require.NoError(t, fed.Delete(t.Context(), thing("v2", "one")))
	bound("one", false)
}

func definition(group string, versions ...string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	u.SetName("things." + group)
	var served []any
	for i, v := range versions {
		served = append(served, map[string]any{
			"name": v, "served": i == len(versions)-1, "storage": i == 0,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		})
	}
	u.Object["spec"] = map[string]any{
		"group": group, "scope": "Namespaced", "versions": served,
		"names": map[string]any{"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
	}
	return u
}

func TestClusterScopedTemplates(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t) // for a name nobody else has
	class := &unstructured.Unstructured{Object: map[string]any{"value": int64(1)}}
	class.SetGroupVersionKind(schema.GroupVersionKind{Group: "scheduling.k8s.io", Version: "v1", Kind: "PriorityClass"})
	class.SetName(ns)
	p := &policyv1alpha1.ClusterPropagationPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: policyv1alpha1.PropagationSpec{ResourceSelectors: []policyv1alpha1.ResourceSelector{
			{APIVersion: "scheduling.k8s.io/v1", Kind: "PriorityClass", Name: ns}}},
	}
	create(t, class, p)
	b := &workv1alpha2.ClusterResourceBinding{}
	key := client.ObjectKey{Name: ns + "-priorityclass"}
	eventually(t, func() bool { return fed.Get(t.Context(), key, b) == nil }, "binding")
	assert.Equal(t, "ClusterPropagationPolicy "+ns, claim.IndexKey(b))
	require.NoError(t, fed.Delete(t.Context(), class))
	eventually(t, func() bool { return apierrors.IsNotFound(fed.Get(t.Context(), key, b)) }, "gone")
	require.NoError(t, fed.Delete(t.Context(), p))
}
