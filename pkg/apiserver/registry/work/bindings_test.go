package work

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry/registrytest"
)

func targets(names ...string) (out []workv1alpha2.TargetCluster) {
	for i, name := range names {
		out = append(out, workv1alpha2.TargetCluster{Name: name, Replicas: int32(i + 1)})
	}
	return out
}

func scheduled(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: workv1alpha2.Scheduled, Status: status, Reason: reason, Message: message}
}

var then = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

// stored is a binding that was scheduled to eu and has reported.
func stored() *workv1alpha2.ResourceBinding {
	b := &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "web-deployment", UID: "uid", ResourceVersion: "7", Generation: 4, CreationTimestamp: then,
			Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1", names.AppliedPlacementAnnotation: "{}"}, Finalizers: []string{"x.io/f"},
		},
		Spec: workv1alpha2.ResourceBindingSpec{
			Resource:  workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "ns", Name: "web"},
			Replicas:  3,
			Clusters:  targets("eu"),
			Placement: &policyv1alpha1.Placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}},
		},
		Status: workv1alpha2.ResourceBindingStatus{
			SchedulerObservedGeneration: 4,
			LastScheduledTime:           &then,
			AggregatedStatus:            []workv1alpha2.AggregatedStatusItem{{ClusterName: "eu", Applied: true}},
		},
	}
	meta.SetStatusCondition(&b.Status.Conditions, scheduled(metav1.ConditionTrue, "Success", "in eu"))
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: workv1alpha2.FullyApplied, Status: metav1.ConditionTrue, Reason: "Yes"})
	return b
}

// asCluster is the same binding in the other scope.
func asCluster(b *workv1alpha2.ResourceBinding) *workv1alpha2.ClusterResourceBinding {
	c := &workv1alpha2.ClusterResourceBinding{ObjectMeta: *b.ObjectMeta.DeepCopy(), Spec: *b.Spec.DeepCopy(), Status: *b.Status.DeepCopy()}
	c.Namespace = ""
	return c
}

func TestDecide(t *testing.T) {
	later := metav1.NewTime(then.Add(time.Hour))
	tests := map[string]struct {
		reason string
		send   func(b *workv1alpha2.ResourceBinding) // what the scheduler sends, from what it read
		want   func(b *workv1alpha2.ResourceBinding) // what is stored, from what was
	}{
		"clusters": {
			reason: "a new generation, and the scheduler has seen it: it made it",
			send: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Clusters = targets("eu", "ap")
				b.Status.LastScheduledTime = &later
				b.Annotations[names.AppliedPlacementAnnotation] = `{"x":1}`
			},
			want: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Clusters = targets("eu", "ap")
				b.Status.LastScheduledTime = &later
				b.Annotations[names.AppliedPlacementAnnotation] = `{"x":1}`
				b.Generation, b.Status.SchedulerObservedGeneration = 5, 5
			},
		},
		"no change": {
			reason: "the same clusters are no new generation",
			send:   func(b *workv1alpha2.ResourceBinding) { b.Status.LastScheduledTime = &later },
			want:   func(b *workv1alpha2.ResourceBinding) { b.Status.LastScheduledTime = &later },
		},
		"looked at a newer generation": {
			reason: "what was observed is what is stored, not what was sent",
			send:   func(b *workv1alpha2.ResourceBinding) { b.Status.SchedulerObservedGeneration = 99; b.Generation = 77 },
			want:   func(*workv1alpha2.ResourceBinding) {},
		},
		"cannot": {
			reason: "the condition says why, the clusters stay",
			send: func(b *workv1alpha2.ResourceBinding) {
				meta.SetStatusCondition(&b.Status.Conditions, scheduled(metav1.ConditionFalse, "NoClusterFit", "none is ready"))
			},
			want: func(b *workv1alpha2.ResourceBinding) {
				meta.SetStatusCondition(&b.Status.Conditions, scheduled(metav1.ConditionFalse, "NoClusterFit", "none is ready"))
			},
		},
		"nowhere": {
			reason: "no clusters are none, not what was before",
			send:   func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters = []workv1alpha2.TargetCluster{} },
			want: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Clusters = nil
				b.Generation, b.Status.SchedulerObservedGeneration = 5, 5
			},
		},
		"everything else": {
			reason: "nothing but the decision is taken",
			send: func(b *workv1alpha2.ResourceBinding) {
				b.Labels, b.Finalizers, b.OwnerReferences = map[string]string{"x": "y"}, nil, []metav1.OwnerReference{{Name: "o"}}
				b.Annotations = map[string]string{"b": "2"}
				b.Spec.Replicas, b.Spec.Placement, b.Spec.Resource.Name = 99, nil, "other"
				b.Spec.Suspension = &workv1alpha2.Suspension{Suspension: policyv1alpha1.Suspension{Dispatching: ptr.To(true)}}
				b.Status.AggregatedStatus = nil
				b.Status.Conditions = nil
			},
			want: func(*workv1alpha2.ResourceBinding) {},
		},
		"conditions of others": {
			reason: "FullyApplied is not the scheduler's",
			send: func(b *workv1alpha2.ResourceBinding) {
				meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: workv1alpha2.FullyApplied, Status: metav1.ConditionFalse, Reason: "No"})
			},
			want: func(*workv1alpha2.ResourceBinding) {},
		},
		"affinity group": {
			reason: "which of several groups it is in",
			send:   func(b *workv1alpha2.ResourceBinding) { b.Status.SchedulerObservingAffinityName = "backup" },
			want:   func(b *workv1alpha2.ResourceBinding) { b.Status.SchedulerObservingAffinityName = "backup" },
		},
		"named twice": {
			reason: "a cluster is once in a binding",
			send:   func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters = append(targets("eu", "ap"), targets("eu")...) },
			want: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Clusters = targets("eu", "ap")
				b.Generation, b.Status.SchedulerObservedGeneration = 5, 5
			},
		},
		"without replicas": {
			reason: "clusters of kinds without replicas have none; zero and absent are one in the type",
			send: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}, {Name: "ap"}}
			},
			want: func(b *workv1alpha2.ResourceBinding) {
				b.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}, {Name: "ap"}}
				b.Generation, b.Status.SchedulerObservedGeneration = 5, 5
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			old, obj, want := stored(), stored(), stored()
			tt.send(obj)
			tt.want(want)
			clusterOld, clusterObj := asCluster(old), asCluster(obj)
			decide(obj, old)
			ignoreTransition(want, obj)
			assert.Equal(t, want, obj, tt.reason)
			assert.Equal(t, stored().Spec, old.Spec, "what is stored is only read")
			assert.Equal(t, stored().Annotations, old.Annotations, "what is stored is only read")

			decide(clusterObj, clusterOld)
			ignoreTransition(want, clusterObj)
			assert.Equal(t, asCluster(want), clusterObj, "both scopes alike")
		})
	}
}

// ignoreTransition copies the times conditions changed, which nobody chooses.
func ignoreTransition(want, got workv1alpha2.Binding) {
	for i := range want.GetStatus().Conditions {
		if i < len(got.GetStatus().Conditions) {
			want.GetStatus().Conditions[i].LastTransitionTime = got.GetStatus().Conditions[i].LastTransitionTime
		}
	}
}

// The strategy of the subresource, as the store calls it.
func TestScheduleIsValidated(t *testing.T) {
	storage, err := registry.NewStorage(resourceBindings(), registrytest.NoStorage{})
	require.NoError(t, err)
	schedule := scheduleStrategy{RESTUpdateStrategy: storage.UpdateStrategy}
	ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), "ns")
	tests := map[string]struct {
		reason string
		send   func(b *workv1alpha2.ResourceBinding)
		want   string
	}{
		"good":             {"", func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters = targets("ap") }, ""},
		"negative share":   {"shares are counts", func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters[0].Replicas = -1 }, "spec.clusters[0].replicas"},
		"no name":          {"a share is somebody's", func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters[0].Name = "" }, "spec.clusters[0].name"},
		"no reason":        {"it would keep every later status from being written", func(b *workv1alpha2.ResourceBinding) { b.Status.Conditions[0].Reason = "" }, "status.conditions[0].reason"},
		"a strange status": {"as above", func(b *workv1alpha2.ResourceBinding) { b.Status.Conditions[0].Status = "Perhaps" }, "status.conditions[0].status"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			old, obj := stored(), stored()
			for _, b := range []*workv1alpha2.ResourceBinding{old, obj} {
				for i := range b.Status.Conditions {
					b.Status.Conditions[i].LastTransitionTime = then
				}
			}
			tt.send(obj)
			err := rest.BeforeUpdate(schedule, ctx, obj, old)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, apierrors.IsInvalid(err), "%v", err)
			assert.ErrorContains(t, err, tt.want, tt.reason)
		})
	}
	assert.Nil(t, schedule.GetResetFields())
}

func TestBindingsOnCreateAndUpdate(t *testing.T) {
	r := resourceBindings()
	obj := stored()
	obj.Spec.Clusters = append(targets("eu"), targets("eu")...)
	r.OnCreate(obj)
	assert.Equal(t, workv1alpha2.ResourceBindingStatus{}, obj.Status)
	assert.Equal(t, targets("eu"), obj.Spec.Clusters)

	old, obj := stored(), stored()
	obj.Status = workv1alpha2.ResourceBindingStatus{}
	obj.Spec.Clusters = []workv1alpha2.TargetCluster{}
	r.OnUpdate(obj, old)
	assert.Equal(t, old.Status, obj.Status)
	assert.Nil(t, obj.Spec.Clusters, "an empty list is no list, so it is no new generation either")

	status := stored()
	status.Spec = workv1alpha2.ResourceBindingSpec{}
	r.OnStatus(status, old)
	assert.Equal(t, old.Spec, status.Spec)
}

// What was exported elsewhere carries finalizers of controllers that are not here,
// and would never be gone when it is deleted.
func TestFinalizersThatNobodyRemoves(t *testing.T) {
	all := []string{"x.io/f", names.BindingFinalizer, names.ClusterResourceBindingFinalizer, names.ExecutionFinalizer}
	for resource, tt := range map[string]struct {
		registry registry.Resource
		dropped  string
	}{
		"resourcebindings":        {resourceBindings(), names.BindingFinalizer},
		"clusterresourcebindings": {clusterResourceBindings(), names.ClusterResourceBindingFinalizer},
		"works":                   {works(), names.ExecutionFinalizer},
	} {
		old := tt.registry.New().(metav1.Object)
		old.SetFinalizers(all)
		want := slices.DeleteFunc(slices.Clone(all), func(f string) bool { return f == tt.dropped })
		for _, write := range []func(obj runtime.Object){
			tt.registry.OnCreate,
			func(obj runtime.Object) { tt.registry.OnUpdate(obj, old.(runtime.Object)) },
		} {
			obj := tt.registry.New()
			obj.(metav1.Object).SetFinalizers(slices.Clone(all))
			write(obj)
			assert.Equal(t, want, obj.(metav1.Object).GetFinalizers(), resource)
		}
		storage, err := registry.NewStorage(tt.registry, registrytest.NoStorage{})
		require.NoError(t, err)
		assert.False(t, storage.UpdateStrategy.AllowUnconditionalUpdate(), resource)
	}
}

// Whatever is sent, a cluster is there once, the first share counts, and nothing
// else is touched.
func TestDropRepeatedProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOf(rapid.Custom(func(t *rapid.T) workv1alpha2.TargetCluster {
			return workv1alpha2.TargetCluster{Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), Replicas: rapid.Int32Range(0, 3).Draw(t, "replicas")}
		})).Draw(t, "clusters")
		b := &workv1alpha2.ResourceBinding{}
		b.Spec.Clusters = append([]workv1alpha2.TargetCluster(nil), sent...)
		before := append([]workv1alpha2.TargetCluster(nil), b.Spec.Clusters...)
		shared := b.Spec.Clusters
		dropRepeated(b)
		require.Equal(t, before, shared, "the sender's list is not changed")
		first := map[string]int32{}
		var order []string
		for _, c := range sent {
			if _, seen := first[c.Name]; !seen {
				first[c.Name] = c.Replicas
				order = append(order, c.Name)
			}
		}
		require.Len(t, b.Spec.Clusters, len(order))
		for i, c := range b.Spec.Clusters {
			require.Equal(t, order[i], c.Name)
			require.Equal(t, first[c.Name], c.Replicas)
		}
	})
}
