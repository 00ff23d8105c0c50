package scheduler

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// listing records what is queued, in order.
type listing struct {
	queue
	names []string
}

func (l *listing) Add(r reconcile.Request) { l.names = append(l.names, r.Name) }

func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clusterv1alpha1.AddToScheme, workv1alpha2.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// bindings are a cross-section: what of it does a change of a cluster concern?
func bindings() map[string]*workv1alpha2.ResourceBinding {
	done := []metav1.Condition{{Type: workv1alpha2.Scheduled, Status: metav1.ConditionTrue, Reason: "Success"}}
	binding := func(name string, scheduled bool, spec *workv1alpha2.ResourceBindingSpec) *workv1alpha2.ResourceBinding {
		b := bindingOf(spec)
		b.Name = name
		if scheduled {
			b.Status.Conditions = done
		}
		return b
	}
	type placement = policyv1alpha1.Placement
	all := map[string]*workv1alpha2.ResourceBinding{}
	for _, b := range []*workv1alpha2.ResourceBinding{
		binding("divided", true, specOf(2, placement{ReplicaScheduling: dividedBy()}, targets("us", 2)...)),
		binding("divided-holder", true, specOf(2, placement{ReplicaScheduling: dividedBy()}, targets("eu", 2)...)),
		binding("divided-naming", true, specOf(2, placement{ClusterAffinity: named("us", "eu"), ReplicaScheduling: dividedBy()}, targets("us", 2)...)),
		binding("divided-weighing", true, specOf(2, placement{ReplicaScheduling: dividedBy(weight(1, "eu"))}, targets("us", 2)...)),
		binding("divided-unscheduled", false, specOf(2, placement{ReplicaScheduling: dividedBy()})),
		binding("duplicated", true, specOf(2, placement{ReplicaScheduling: duplicated}, targets("us", 2)...)),
		binding("no-replicas", true, specOf(0, placement{ReplicaScheduling: dividedBy()}, targets("us", 0)...)),
		binding("no-placement", true, &workv1alpha2.ResourceBindingSpec{}),
		release(binding("released", true, specOf(2, placement{ReplicaScheduling: duplicated}, targets("us", 2)...))),
		release(binding("released-naming", true, specOf(2, placement{ClusterAffinity: named("us", "eu")}, targets("us", 2)...))),
		release(binding("released-unscheduled", false, specOf(2, placement{}))),
		release(binding("released-holder", true, specOf(2, placement{ReplicaScheduling: duplicated}, targets("eu", 2)...))),
	} {
		all[b.Name] = b
	}
	return all
}

func clusterHandlerOver(t *testing.T, invalidations *int) clusterHandler {
	t.Helper()
	builder := fake.NewClientBuilder().WithScheme(testScheme(t))
	for _, b := range bindings() {
		builder.WithObjects(b)
	}
	return clusterHandler{
		changed:  func() { *invalidations++ },
		affected: listAffected(builder.Build(), scopes()[0], policyv1alpha1.DefaultSchedulerName),
	}
}

func TestClusterHandler(t *testing.T) {
	concerned := []string{"divided-holder", "divided-naming", "divided-unscheduled", "divided-weighing", "duplicated", "no-replicas", "released-holder"}
	ctx := context.Background()
	cases := map[string]struct {
		reason      string
		send        func(h clusterHandler, q queue)
		want        []string
		invalidates bool
	}{
		"Joined": {
			reason:      "those that it may concern, and no divided binding elsewhere",
			send:        func(h clusterHandler, q queue) { h.Create(ctx, event.CreateEvent{Object: cluster("eu")}, q) },
			want:        concerned,
			invalidates: true,
		},
		"ThereAtStart": {
			reason: "every binding is looked at when the process starts, once is enough",
			send: func(h clusterHandler, q queue) {
				h.Create(ctx, event.CreateEvent{Object: cluster("eu"), IsInInitialList: true}, q)
			},
			invalidates: true,
		},
		"Heartbeat": {
			reason: "neither a new picture nor work",
			send: func(h clusterHandler, q queue) {
				later := cluster("eu")
				later.ResourceVersion = "2"
				h.Update(ctx, event.UpdateEvent{ObjectOld: cluster("eu"), ObjectNew: later}, q)
			},
		},
		"NotReady": {
			reason: "a change that matters",
			send: func(h clusterHandler, q queue) {
				h.Update(ctx, event.UpdateEvent{ObjectOld: cluster("eu"), ObjectNew: cluster("eu", notReady)}, q)
			},
			want:        concerned,
			invalidates: true,
		},
		"Left": {
			reason:      "its share must go elsewhere",
			send:        func(h clusterHandler, q queue) { h.Delete(ctx, event.DeleteEvent{Object: cluster("eu")}, q) },
			want:        concerned,
			invalidates: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			invalidations, q := 0, &listing{}
			tc.send(clusterHandlerOver(t, &invalidations), q)
			slices.Sort(q.names)
			if diff := cmp.Diff(tc.want, q.names); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if (invalidations > 0) != tc.invalidates {
				t.Errorf("%s: %d invalidations", tc.reason, invalidations)
			}
		})
	}
}

// The warning about spec.schedulePriority promises this order.
func TestBindingsAreServedAsTheyCome(t *testing.T) {
	urgent := bindingOf(specOf(1, policyv1alpha1.Placement{}))
	urgent.Name = "urgent"
	urgent.Spec.SchedulePriority = &workv1alpha2.SchedulePriority{Priority: 7}
	plain := bindingOf(specOf(1, policyv1alpha1.Placement{}))
	plain.Name = "plain"
	q := &listing{}
	bindingHandler{}.Create(context.Background(), event.CreateEvent{Object: plain}, q)
	bindingHandler{}.Update(context.Background(), event.UpdateEvent{ObjectOld: urgent, ObjectNew: urgent}, q)
	bindingHandler{}.Generic(context.Background(), event.GenericEvent{Object: plain}, q)
	if diff := cmp.Diff([]string{"plain", "urgent", "plain"}, q.names); diff != "" {
		t.Errorf("the order of the queue (-want +got):\n%s", diff)
	}
}

func TestBindingPredicate(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*workv1alpha2.ResourceBinding)
		want   bool
	}{
		"Report": {reason: "what members report is no reason", edit: func(b *workv1alpha2.ResourceBinding) {
			b.ResourceVersion = "2"
			b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{{ClusterName: "eu"}}
			b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: workv1alpha2.FullyApplied})
		}},
		"Spec":      {reason: "the generation counts changes of the spec", edit: func(b *workv1alpha2.ResourceBinding) { b.Generation = 2 }, want: true},
		"Condition": {reason: "somebody has touched the condition", edit: func(b *workv1alpha2.ResourceBinding) { b.Status.Conditions = nil }, want: true},
		"Released": {reason: "from now on it stays", edit: func(b *workv1alpha2.ResourceBinding) {
			delete(b.Labels, names.PropagationPolicyPermanentIDLabel)
		}, want: true},
		"Relabelled": {reason: "labels of others are no reason", edit: func(b *workv1alpha2.ResourceBinding) { b.Labels["team"] = "web" }},
		"Applied": {reason: "somebody has touched the record", edit: func(b *workv1alpha2.ResourceBinding) {
			b.Annotations = map[string]string{"policy.karmada.io/applied-placement": "{}"}
		}, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			was := bindings()["divided"]
			is := was.DeepCopy()
			tc.edit(is)
			if got := bindingPredicate().Update(event.UpdateEvent{ObjectOld: was, ObjectNew: is}); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

// TestOverTheClient runs the parts that SetupWithManager puts together against a
// client: reading, the snapshot, and the write to the right subresource.
func TestOverTheClient(t *testing.T) {
	ctx := context.Background()
	var subresources []string
	b := bindingOf(specOf(4, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}))
	c := fake.NewClientBuilder().WithScheme(testScheme(t)).
		WithObjects(b, cluster("eu"), cluster("us"), cluster("ap", notReady)).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, _ ...client.SubResourceUpdateOption) error {
				subresources = append(subresources, name)
				return c.Update(ctx, object) // the fake has no subresources of ours
			},
		}).Build()
	d := newDesk(t, nil)
	r := newReconciler(c, scopes()[0], snapshot.NewStore(listClusters(c)), Options{SchedulerName: policyv1alpha1.DefaultSchedulerName, Recorder: d})
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: b.Namespace, Name: b.Name}}
	for range 2 {
		if _, err := r.Reconcile(ctx, request); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"schedule"}, subresources); diff != "" {
		t.Errorf("one write to the subresource (-want +got):\n%s", diff)
	}
	var got workv1alpha2.ResourceBinding
	if err := c.Get(ctx, request.NamespacedName, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(targets("eu", 2, "us", 2), got.Spec.Clusters); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
}

func TestSetupRefuses(t *testing.T) {
	if err := SetupWithManager(nil, Options{}); err == nil {
		t.Error("a recorder is needed")
	}
	if err := SetupWithManager(nil, Options{Recorder: newDesk(t, nil), Workers: -1}); err == nil {
		t.Error("a negative number of workers")
	}
}
