package apiserver

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// A client of the old version must not wipe out what it does not know.
func TestOldVersionOfBindings(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web")
	create(t, d)
	b := bind(t, d, "eu", "ap")
	old := resourceBindings
	old.Version = "v1alpha1"
	bindings := fed.dynamic.Resource(old).Namespace(ns)

	read, err := bindings.Get(t.Context(), b.Name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "work.karmada.io/v1alpha1", read.GetAPIVersion())
	replicas, _, _ := unstructured.NestedInt64(read.Object, "spec", "resource", "replicas")
	assert.EqualValues(t, 3, replicas, "where v1alpha1 has it")

	require.NoError(t, unstructured.SetNestedField(read.Object, int64(9), "spec", "resource", "replicas"))
	read.SetLabels(map[string]string{"l": "1"})
	_, err = bindings.Update(t.Context(), read, metav1.UpdateOptions{})
	require.NoError(t, err)
	got := &workv1alpha2.ResourceBinding{}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), got))
	want := b.Spec.DeepCopy()
	want.Replicas = 9
	assert.Equal(t, *want, got.Spec, "placement and all are still there")
	assert.Equal(t, "1", got.Labels["l"])
	assert.Equal(t, b.Annotations, got.Annotations, "nothing of the detour is stored")

	_, err = bindings.Patch(t.Context(), b.Name, types.MergePatchType, []byte(`{"spec":{"clusters":[{"name":"us","replicas":3}]}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), got))
	assert.Equal(t, []workv1alpha2.TargetCluster{{Name: "us", Replicas: 3}}, got.Spec.Clusters)
	assert.Equal(t, want.Placement, got.Spec.Placement)

	list, err := bindings.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	w, err := bindings.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	require.NoError(t, err)
	defer w.Stop()
	require.NoError(t, bindings.Delete(t.Context(), b.Name, metav1.DeleteOptions{}))
	event := <-w.ResultChan()
	assert.Equal(t, "work.karmada.io/v1alpha1", event.Object.GetObjectKind().GroupVersionKind().GroupVersion().String())
}

func TestSchedule(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web")
	create(t, d)
	b := bind(t, d)
	stale := b.DeepCopy()
	now := metav1.Now().Rfc3339Copy()
	decided := func(b *workv1alpha2.ResourceBinding, clusters ...workv1alpha2.TargetCluster) {
		b.Spec.Clusters = clusters
		b.Annotations = map[string]string{names.AppliedPlacementAnnotation: "{}", "other": "x"}
		b.Labels = map[string]string{"other": "x"}
		b.Spec.Replicas = 77
		b.Status.LastScheduledTime = &now
		meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: workv1alpha2.Scheduled, Status: metav1.ConditionTrue, Reason: "Success", Message: "in eu"})
	}
	eu := workv1alpha2.TargetCluster{Name: "eu", Replicas: 3}

	decided(b, eu)
	require.NoError(t, fed.SubResource("schedule").Update(t.Context(), b))
	got := &workv1alpha2.ResourceBinding{}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), got))
	assert.Equal(t, []workv1alpha2.TargetCluster{eu}, got.Spec.Clusters)
	assert.EqualValues(t, 3, got.Spec.Replicas)
	assert.EqualValues(t, 2, got.Generation)
	assert.EqualValues(t, 2, got.Status.SchedulerObservedGeneration, "decision and condition are one write")
	assert.True(t, meta.IsStatusConditionTrue(got.Status.Conditions, workv1alpha2.Scheduled))
	assert.Equal(t, map[string]string{names.AppliedPlacementAnnotation: "{}"}, got.Annotations)
	assert.Empty(t, got.Labels)
	assert.Equal(t, got.ResourceVersion, b.ResourceVersion, "the answer is what is stored")

	decided(stale, workv1alpha2.TargetCluster{Name: "ap", Replicas: 3})
	err := fed.SubResource("schedule").Update(t.Context(), stale)
	require.True(t, apierrors.IsConflict(err), "a decision about an older state: %v", err)

	// The same as a merge patch, of any client.
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": got.ResourceVersion},
		"spec": map[string]any{"clusters": []any{map[string]any{"name": "us", "replicas": 3}}, "replicas": 99}})
	require.NoError(t, err)
	require.NoError(t, fed.SubResource("schedule").Patch(t.Context(), b, client.RawPatch(types.MergePatchType, body)))
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), got))
	assert.Equal(t, []workv1alpha2.TargetCluster{{Name: "us", Replicas: 3}}, got.Spec.Clusters)
	assert.EqualValues(t, 3, got.Spec.Replicas)
	err = fed.SubResource("schedule").Patch(t.Context(), b, client.RawPatch(types.MergePatchType, body))
	require.True(t, apierrors.IsConflict(err), "%v", err)

	got.Spec.Clusters[0].Replicas = -1
	err = fed.SubResource("schedule").Update(t.Context(), got)
	require.True(t, apierrors.IsInvalid(err), "%v", err)

	missing := got.DeepCopy()
	missing.Name, missing.ResourceVersion = "missing", ""
	require.True(t, apierrors.IsNotFound(fed.SubResource("schedule").Update(t.Context(), missing)), "a decision creates nothing")

	cluster := &workv1alpha2.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Name: ns}, Spec: workv1alpha2.ResourceBindingSpec{
		Resource: workv1alpha2.ObjectReference{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: ns}}}
	create(t, cluster)
	cluster.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}, {Name: "ap"}}
	require.NoError(t, fed.SubResource("schedule").Update(t.Context(), cluster))
	assert.Len(t, cluster.Spec.Clusters, 2, "a kind without replicas has targets without replicas")
	assert.EqualValues(t, 2, cluster.Status.SchedulerObservedGeneration)
	require.NoError(t, fed.Delete(t.Context(), cluster))
}
