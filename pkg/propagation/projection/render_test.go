package projection

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestShareOfACluster(t *testing.T) {
	p := newProjection("eu", "ap")
	p.SetTemplate(deployment("hello", 10, "v1"))
	p.SetBinding(divided("hello", on("eu", 6), on("ap", 4)))

	w := onlyWork(t, p, "eu")
	require.Equal(t, names.WorkName("Deployment", "default", "hello"), w.Name)
	require.Equal(t, "karmada-es-eu", w.Namespace)
	require.Equal(t, map[string]string{names.ResourceBindingPermanentIDLabel: "pid-hello"}, w.Labels)
	require.EqualValues(t, 6, replicasOf(t, w))
	require.EqualValues(t, 4, replicasOf(t, onlyWork(t, p, "ap")))

	obj := manifestOf(t, w)
	require.Equal(t, map[string]string{"app": "hello", names.ManagedLabel: "true"}, obj.GetLabels(), "the claim stays at home")
	require.Equal(t, map[string]string{
		names.WorkNameAnnotation:           w.Name,
		names.WorkNamespaceAnnotation:      "karmada-es-eu",
		names.TemplateUIDAnnotation:        "uid-hello",
		names.TemplateGenerationAnnotation: "1",
		names.ManagedLabelsAnnotation:      "app",
		names.ManagedAnnotationsAnnotation: "",
	}, obj.GetAnnotations())
	require.Empty(t, obj.GetUID())
}

func TestReplicasByPlacement(t *testing.T) {
	for name, test := range map[string]struct {
		reason  string
		mutate  func(*workv1alpha2.ResourceBinding)
		want    int64
		cluster string
	}{
		"divided": {
			reason: "the scheduler's share goes into the manifest",
			want:   3, cluster: "eu",
		},
		"not divided yet": {
			reason: "a template that was scaled up from zero must not run in full everywhere until it is divided",
			mutate: func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}} },
			want:   0, cluster: "eu",
		},
		"duplicated": {
			reason: "every cluster runs all of it",
			mutate: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Placement.ReplicaScheduling.ReplicaSchedulingType = policyv1alpha1.ReplicaSchedulingTypeDuplicated
			},
			want: 10, cluster: "eu",
		},
		"without a strategy": {
			reason: "no strategy means duplicated",
			mutate: func(b *workv1alpha2.ResourceBinding) { b.Spec.Placement.ReplicaScheduling = nil },
			want:   10, cluster: "eu",
		},
		"dependency": {
			reason: "what something else needs follows it undivided",
			mutate: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.RequiredBy = []workv1alpha2.BindingSnapshot{{Name: "x", Clusters: []workv1alpha2.TargetCluster{on("ap", 1)}}}
			},
			want: 10, cluster: "ap",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProjection("eu", "ap")
			p.SetTemplate(deployment("hello", 10, "v1"))
			b := divided("hello", on("eu", 3))
			if test.mutate != nil {
				test.mutate(b)
			}
			p.SetBinding(b)
			require.Equal(t, test.want, replicasOf(t, onlyWork(t, p, test.cluster)), test.reason)
		})
	}
}

func TestFlagsOfABindingReachTheWork(t *testing.T) {
	yes := true
	p := newProjection("eu", "ap")
	p.SetTemplate(deployment("hello", 2, "v1"))
	b := divided("hello", on("eu", 1), on("ap", 1))
	b.Spec.PreserveResourcesOnDeletion = &yes
	b.Spec.ConflictResolution = policyv1alpha1.ConflictOverwrite
	b.Spec.Suspension = &workv1alpha2.Suspension{Suspension: policyv1alpha1.Suspension{
		DispatchingOnClusters: &policyv1alpha1.SuspendClusters{ClusterNames: []string{"ap"}},
	}}
	p.SetBinding(b)
	eu, ap := onlyWork(t, p, "eu"), onlyWork(t, p, "ap")
	require.Nil(t, eu.Spec.SuspendDispatching)
	require.True(t, *ap.Spec.SuspendDispatching)
	require.True(t, *eu.Spec.PreserveResourcesOnDeletion)
	require.Equal(t, "overwrite", manifestOf(t, eu).GetAnnotations()[names.ConflictResolutionAnnotation])
}

// A Work whose template is missing, or cannot be rendered, must stay, without a
// manifest and with the reason.
func TestWhatCannotBeRenderedStays(t *testing.T) {
	p := newProjection("eu")
	p.SetBinding(divided("hello", on("eu", 3)))
	w := onlyWork(t, p, "eu")
	require.Empty(t, w.Spec.Workload.Manifests)
	c := meta.FindStatusCondition(w.Status.Conditions, WorkRendered)
	require.NotNil(t, c)
	require.Contains(t, c.Message, "Deployment default/hello")

	p.SetTemplate(deployment("hello", 3, "v1"))
	require.EqualValues(t, 3, replicasOf(t, onlyWork(t, p, "eu")))
	p.DeleteTemplate(TemplateKey{deployments, "default", "hello"})
	require.Empty(t, onlyWork(t, p, "eu").Spec.Workload.Manifests)

	bad := deployment("hello", 3, "v1")
	require.NoError(t, unstructured.SetNestedField(bad.Object, "three", "spec", "replicas"))
	p.SetTemplate(bad)
	c = meta.FindStatusCondition(onlyWork(t, p, "eu").Status.Conditions, WorkRendered)
	require.NotNil(t, c, "replicas that are no number")
}

type failing struct{ Interpreter }

var errRevise = errors.New("revise failed")

func (failing) ReviseReplicas(*unstructured.Unstructured, int32) error { return errRevise }

func TestFailureNamesObjectAndCluster(t *testing.T) {
	p := newProjection("eu")
	p.interpreter = failing{p.interpreter}
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 3)))
	c := meta.FindStatusCondition(onlyWork(t, p, "eu").Status.Conditions, WorkRendered)
	require.NotNil(t, c)
	for _, part := range []string{"Deployment default/hello", "cluster eu", errRevise.Error()} {
		require.Contains(t, c.Message, part)
	}
}

func TestReportedStatus(t *testing.T) {
	p := newProjection("eu", "ap")
	p.SetTemplate(deployment("hello", 2, "v1"))
	b := divided("hello", on("eu", 1), on("ap", 1))
	b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{
		{ClusterName: "ap", Applied: false, AppliedMessage: "no room"},
		{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceHealthy, Status: &runtime.RawExtension{Raw: []byte(`{"replicas":1}`)}},
	}
	p.SetBinding(b)
	eu := onlyWork(t, p, "eu")
	require.True(t, meta.IsStatusConditionTrue(eu.Status.Conditions, workv1alpha1.WorkApplied))
	require.Equal(t, workv1alpha1.ResourceIdentifier{
		Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments", Namespace: "default", Name: "hello",
	}, eu.Status.ManifestStatuses[0].Identifier)
	require.JSONEq(t, `{"replicas":1}`, string(eu.Status.ManifestStatuses[0].Status.Raw))
	c := meta.FindStatusCondition(onlyWork(t, p, "ap").Status.Conditions, workv1alpha1.WorkApplied)
	require.Equal(t, "no room", c.Message)
}

func TestEqualInputsGiveEqualWorks(t *testing.T) {
	build := func() *workv1alpha1.Work {
		p := newProjection("ap", "eu")
		p.SetTemplate(deployment("hello", 3, "v1"))
		p.SetBinding(divided("hello", on("eu", 3)))
		return onlyWork(t, p, "eu")
	}
	first, second := build(), build()
	require.Equal(t, first, second)
}

func TestNamespacesGoEverywhere(t *testing.T) {
	p := newProjection("eu")
	namespace := func(name string, labels map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace",
			"metadata": map[string]any{"name": name, "uid": "ns-" + name, "labels": labels},
			"spec":     map[string]any{"finalizers": []any{"kubernetes"}},
		}}
	}
	for _, name := range []string{"kube-system", "karmada-cluster", "karmada-es-eu", "default", "shop"} {
		p.SetNamespace(namespace(name, map[string]any{"team": "a"}))
	}
	w := onlyWork(t, p, "eu")
	require.Equal(t, "shop", manifestOf(t, w).GetName())
	require.Equal(t, "a", manifestOf(t, w).GetLabels()["team"])

	p.ReportNamespace(w.Name, workv1alpha2.AggregatedStatusItem{ClusterName: "eu", AppliedMessage: "it is terminating"})
	c := meta.FindStatusCondition(onlyWork(t, p, "eu").Status.Conditions, workv1alpha1.WorkApplied)
	require.Equal(t, "it is terminating", c.Message)
	require.Equal(t, "namespaces", onlyWork(t, p, "eu").Status.ManifestStatuses[0].Identifier.Resource)

	p.SetCluster(cluster("ap"))
	require.Equal(t, "shop", manifestOf(t, onlyWork(t, p, "ap")).GetName(), "also in a cluster that joins later")

	watcher := startWatch(t, p, "eu", WatchOptions{ResourceVersion: list(t, p, "eu").ResourceVersion})
	p.SetNamespace(namespace("shop", map[string]any{names.SkipAutoPropagationLabel: "true"}))
	require.Equal(t, watch.Modified, next(t, watcher).Type, "never Deleted: everything in it would go, too")
	w = onlyWork(t, p, "eu")
	require.True(t, *w.Spec.SuspendDispatching, "a namespace can be kept at home")
	require.True(t, *w.Spec.PreserveResourcesOnDeletion)
	p.DeleteNamespace("shop")
	require.Empty(t, list(t, p, "eu").Items)
}
