package scheduler

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/explain"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// clock is when the tests happen.
var clock = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// desk is the world around a reconciler: one binding, the fleet, and what was
// written and said.
type desk struct {
	t       *testing.T
	binding workv1alpha2.Binding
	snap    *snapshot.Snapshot
	fail    error
	writes  int
	said    []string
	result  reconcile.Result
	err     error
}

func newDesk(t *testing.T, b workv1alpha2.Binding, clusters ...*clusterv1alpha1.Cluster) *desk {
	return &desk{t: t, binding: b, snap: snapshot.New(clusters...)}
}

func (d *desk) Event(_ context.Context, about corev1.ObjectReference, eventType, reason, note string) {
	d.said = append(d.said, about.Kind+"/"+about.Name+" "+eventType+" "+reason+" "+note)
}

// reconcile runs once and returns how many writes that took.
func (d *desk) reconcile() int {
	d.t.Helper()
	before := d.writes
	r := &reconciler{
		schedulerName: policyv1alpha1.DefaultSchedulerName,
		snapshot:      func(context.Context) (*snapshot.Snapshot, error) { return d.snap, nil },
		get: func(context.Context, reconcile.Request) (workv1alpha2.Binding, error) {
			if d.binding == nil {
				return nil, apierrors.NewNotFound(workv1alpha2.Resource("resourcebindings"), "hello")
			}
			return d.binding, nil
		},
		write: func(_ context.Context, b workv1alpha2.Binding) error {
			if d.fail != nil {
				return d.fail
			}
			d.writes++
			if len(b.GetSpec().Clusters) > 0 {
				for _, c := range b.GetSpec().Clusters {
					if c.Replicas == 0 && b.GetSpec().Replicas > 0 {
						d.t.Errorf("a zero entry for %s was written", c.Name)
					}
				}
			}
			d.binding = b
			return nil
		},
		recorder: d,
		now:      func() time.Time { return clock },
	}
	untouched := workv1alpha2.Binding(nil)
	var current workv1alpha2.Binding
	if d.binding != nil {
		current, untouched = d.binding, d.binding.DeepCopyObject().(workv1alpha2.Binding)
	}
	d.result, d.err = r.Reconcile(context.Background(), reconcile.Request{})
	if current != nil {
		if diff := cmp.Diff(untouched, current); diff != "" {
			d.t.Errorf("an object of the cache was changed (-before +after):\n%s", diff)
		}
	}
	return d.writes - before
}

// settle reconciles, and a second time to see that there is nothing left to write.
func (d *desk) settle() {
	d.t.Helper()
	d.reconcile()
	if d.err != nil {
		d.t.Fatalf("reconcile: %v", d.err)
	}
	if n := d.reconcile(); n != 0 {
		d.t.Errorf("nothing has changed, and yet %d writes", n)
	}
}

func (d *desk) condition() metav1.Condition {
	c := meta.FindStatusCondition(d.binding.GetStatus().Conditions, workv1alpha2.Scheduled)
	if c == nil {
		return metav1.Condition{}
	}
	return *c
}

func (d *desk) wantClusters(reason string, want []workv1alpha2.TargetCluster) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.binding.GetSpec().Clusters); diff != "" {
		d.t.Errorf("%s (-want +got):\n%s%s", reason, diff, d.condition().Message)
	}
}

func (d *desk) wantWrites(reason string, want int) {
	d.t.Helper()
	if d.writes != want {
		d.t.Errorf("%s: %d writes, want %d", reason, d.writes, want)
	}
	d.writes = 0
}

func (d *desk) wantSaid(reason string, want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.said); diff != "" {
		d.t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
	d.said = nil
}

// bindingOf is a binding as the binding controller makes it, claimed by a policy.
func bindingOf(spec *workv1alpha2.ResourceBindingSpec) *workv1alpha2.ResourceBinding {
	return &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-deployment", Labels: map[string]string{
			names.ResourceBindingPermanentIDLabel:   "of-the-binding",
			names.PropagationPolicyPermanentIDLabel: "of-the-policy",
		}},
		Spec: *spec,
	}
}

// scheduledDesk is a desk whose binding was just scheduled.
func scheduledDesk(t *testing.T, spec *workv1alpha2.ResourceBindingSpec, clusters ...*clusterv1alpha1.Cluster) *desk {
	t.Helper()
	d := newDesk(t, bindingOf(spec), clusters...)
	d.settle()
	if d.condition().Status != metav1.ConditionTrue {
		t.Fatalf("the binding could not be scheduled: %s", d.condition().Message)
	}
	d.writes, d.said = 0, nil
	return d
}

func TestReconcileFirstDecision(t *testing.T) {
	bindings := map[string]workv1alpha2.Binding{
		"ResourceBinding":        bindingOf(specOf(10, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()})),
		"ClusterResourceBinding": &workv1alpha2.ClusterResourceBinding{Spec: *specOf(10, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()})},
	}
	for name, b := range bindings {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, b, cluster("ap"), cluster("eu"), cluster("us"))
			d.settle()
			d.wantWrites("one write for one decision", 1)
			d.wantClusters("divided", targets("ap", 4, "eu", 3, "us", 3))
			d.wantSaid("the template is told, and only it",
				"Deployment/hello Normal ScheduleBindingSucceed Clusters were chosen: ap:4, eu:3, us:3.")
			if c := d.condition(); c.Status != metav1.ConditionTrue || c.Reason != workv1alpha2.BindingReasonSuccess {
				t.Errorf("condition: %+v", c)
			}
			if got := d.binding.GetStatus().LastScheduledTime; got == nil || !got.Time.Equal(clock) {
				t.Errorf("last scheduled at %v, want %v", got, clock)
			}
			want := `{"replicaScheduling":{"replicaSchedulingType":"Divided","replicaDivisionPreference":"Weighted"}}`
			if got := d.binding.GetAnnotations()[names.AppliedPlacementAnnotation]; got != want {
				t.Errorf("applied placement %s, want %s", got, want)
			}
		})
	}
}

func TestReconcileLeavesAlone(t *testing.T) {
	yes := true
	cases := map[string]func(*workv1alpha2.ResourceBinding){
		"NoPlacement":    func(b *workv1alpha2.ResourceBinding) { b.Spec.Placement = nil },
		"Suspended":      func(b *workv1alpha2.ResourceBinding) { b.Spec.Suspension = &workv1alpha2.Suspension{Scheduling: &yes} },
		"OtherScheduler": func(b *workv1alpha2.ResourceBinding) { b.Spec.SchedulerName = "mine" },
		"Deleting": func(b *workv1alpha2.ResourceBinding) {
			at := metav1.NewTime(clock)
			b.DeletionTimestamp = &at
		},
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			b := bindingOf(specOf(3, policyv1alpha1.Placement{}))
			edit(b)
			d := newDesk(t, b, cluster("eu"))
			d.settle()
			d.wantWrites("not ours to decide", 0)
		})
	}
	d := newDesk(t, nil, cluster("eu"))
	d.settle()
	d.wantWrites("a binding that is gone", 0)

	b := bindingOf(specOf(3, policyv1alpha1.Placement{}))
	b.Spec.SchedulerName = policyv1alpha1.DefaultSchedulerName
	d = newDesk(t, b, cluster("eu"))
	d.settle()
	d.wantWrites("our name spelled out", 1)
}

func TestReconcileScales(t *testing.T) {
	d := scheduledDesk(t, specOf(3, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}), cluster("ap"), cluster("eu"), cluster("us"))
	d.binding.GetSpec().Replicas = 10
	d.settle()
	d.wantWrites("scaling is one write", 1)
	d.wantClusters("the odd one goes up the alphabet", targets("ap", 4, "eu", 3, "us", 3))
	d.wantSaid("scaling is news", "Deployment/hello Normal ScheduleBindingSucceed Clusters were chosen: ap:4, eu:3, us:3.")

	d.binding.GetSpec().Placement.ReplicaScheduling = dividedBy(weight(2, "us"), weight(1, "ap"), weight(2, "eu"))
	d.settle()
	d.wantWrites("another policy is one write", 1)
	d.wantClusters("divided afresh", targets("ap", 2, "eu", 4, "us", 4))

	d.binding.GetSpec().Replicas = 0
	d.settle()
	d.wantClusters("scaled to nothing it stays everywhere, with nothing", targets("ap", 0, "eu", 0, "us", 0))
}

func TestReconcileDuplicatedScales(t *testing.T) {
	d := scheduledDesk(t, specOf(3, policyv1alpha1.Placement{ReplicaScheduling: duplicated}), cluster("ap"), cluster("eu"))
	d.binding.GetSpec().Replicas = 5
	d.settle()
	d.wantClusters("the count of each", targets("ap", 5, "eu", 5))
	d.wantWrites("one write", 1)
}

func TestReconcilePlacementTextIsNoChange(t *testing.T) {
	d := scheduledDesk(t, specOf(3, policyv1alpha1.Placement{ClusterAffinity: named("eu"), ReplicaScheduling: dividedBy()}), cluster("eu"), cluster("us"))
	b := d.binding.DeepCopyObject().(workv1alpha2.Binding)
	b.SetAnnotations(map[string]string{names.AppliedPlacementAnnotation: `{ "replicaScheduling": {"replicaDivisionPreference": "Weighted"}, "clusterAffinity": {"clusterNames": ["eu"]}}`})
	d.binding = b
	d.settle()
	d.wantWrites("another writer's order of fields and an omitted default are no change", 0)

	d.binding.GetSpec().Placement.ClusterAffinity = named("eu", "us")
	d.settle()
	d.wantClusters("a real change", targets("eu", 2, "us", 1))
}

func TestReconcileRebalance(t *testing.T) {
	d := scheduledDesk(t, specOf(4, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}), cluster("eu"))
	d.snap = snapshot.New(cluster("eu"), cluster("us"))
	d.settle()
	d.wantWrites("a new cluster alone moves no divided replica", 0)

	later := metav1.NewTime(clock.Add(time.Minute))
	d.binding.GetSpec().RescheduleTriggeredAt = &later
	d.settle()
	d.wantWrites("the request is settled by one write, also if it comes from a clock ahead of ours", 1)
	d.wantClusters("divided over all", targets("eu", 2, "us", 2))

	again := metav1.NewTime(clock.Add(time.Hour))
	d.binding.GetSpec().RescheduleTriggeredAt = &again
	d.said = nil
	d.settle()
	d.wantWrites("a request that changes nothing is settled, too", 1)
	d.wantSaid("and is no news")
}

func TestReconcileClusterNotReady(t *testing.T) {
	for name, strategy := range map[string]*policyv1alpha1.ReplicaSchedulingStrategy{"Divided": dividedBy(), "Duplicated": duplicated} {
		t.Run(name, func(t *testing.T) {
			d := scheduledDesk(t, specOf(4, policyv1alpha1.Placement{ReplicaScheduling: strategy}), cluster("eu"), cluster("us"))
			d.snap = snapshot.New(cluster("eu", notReady, tainted(names.TaintClusterNotReady)), cluster("us"))
			d.settle()
			d.wantWrites("what runs is not moved because a cluster is not ready", 0)
		})
	}
}

func TestReconcileClusterGone(t *testing.T) {
	for name, remains := range map[string][]*clusterv1alpha1.Cluster{
		"Gone":    {cluster("us")},
		"Leaving": {cluster("eu", leaving), cluster("us")},
	} {
		t.Run(name, func(t *testing.T) {
			d := scheduledDesk(t, specOf(4, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}), cluster("eu"), cluster("us"))
			d.snap = snapshot.New(remains...)
			d.settle()
			d.wantWrites("one write", 1)
			d.wantClusters("its share goes to the others", targets("us", 4))
		})
	}
}

func TestReconcileFollowsClusters(t *testing.T) {
	d := scheduledDesk(t, specOf(0, policyv1alpha1.Placement{}), cluster("eu"), cluster("us", notReady))
	d.wantClusters("only what is ready", targets("eu", 0))
	d.snap = snapshot.New(cluster("eu"), cluster("us"))
	d.settle()
	d.wantWrites("one write", 1)
	d.wantClusters("a cluster is ready again", targets("eu", 0, "us", 0))
	d.snap = snapshot.New(cluster("eu"), cluster("us"), cluster("ap"))
	d.settle()
	d.wantClusters("a cluster has joined", targets("ap", 0, "eu", 0, "us", 0))
	d.snap = snapshot.New(cluster("eu"), cluster("us"))
	d.settle()
	d.wantClusters("a cluster has left", targets("eu", 0, "us", 0))
}

func TestReconcileUnschedulable(t *testing.T) {
	d := newDesk(t, bindingOf(specOf(2, policyv1alpha1.Placement{ClusterAffinity: named("mars"), ReplicaScheduling: dividedBy()})), cluster("eu"))
	d.settle()
	d.wantWrites("the reason is written once", 1)
	message := "0/1 clusters fit: eu: not named in placement.clusterAffinity.clusterNames; " +
		"mars: no such cluster (placement.clusterAffinity.clusterNames). This is tried again whenever the policy or a cluster changes."
	d.wantSaid("and told once", "Deployment/hello Warning ScheduleBindingFailed "+message)
	if c := d.condition(); c.Status != metav1.ConditionFalse || c.Reason != workv1alpha2.BindingReasonNoClusterFit || c.Message != message {
		t.Errorf("condition: %+v", c)
	}
	if d.binding.GetAnnotations()[names.AppliedPlacementAnnotation] != "" || d.binding.GetStatus().LastScheduledTime != nil {
		t.Error("nothing was decided, so nothing was applied")
	}
	if d.result.RequeueAfter != 0 {
		t.Error("an unschedulable binding waits for clusters, it does not poll")
	}
	d.snap = snapshot.New(cluster("eu"), cluster("mars"))
	d.settle()
	d.wantWrites("the cluster has joined", 1)
	d.wantClusters("and gets it", targets("mars", 2))
}

func TestReconcileKeepsWhatItCannotReplace(t *testing.T) {
	d := scheduledDesk(t, specOf(4, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}), cluster("eu"), cluster("us"))
	d.binding.GetSpec().Placement = &policyv1alpha1.Placement{ClusterAffinity: named("mars"), ReplicaScheduling: dividedBy()}
	d.settle()
	d.wantWrites("only the condition", 1)
	d.wantClusters("a policy that selects nobody removes nothing", targets("eu", 2, "us", 2))
	if c := d.condition(); c.Status != metav1.ConditionFalse || c.Message[len(c.Message)-len("Until then it stays on eu:2, us:2."):] != "Until then it stays on eu:2, us:2." {
		t.Errorf("condition: %+v", c)
	}

	d.snap = snapshot.New(cluster("us"))
	d.settle()
	d.wantClusters("a cluster that is gone is no place to stay", targets("us", 2))

	d.binding.GetSpec().Placement = &policyv1alpha1.Placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
		ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceAggregated}}
	d.settle()
	if c := d.condition(); c.Reason != explain.ReasonNotSupported {
		t.Errorf("condition: %+v", c)
	}
	d.wantClusters("nothing is done in place of what is not supported", targets("us", 2))

	d.binding.GetSpec().Replicas = 2
	d.binding.GetSpec().Placement = &policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}
	d.settle()
	d.said = d.said[len(d.said)-1:]
	d.wantSaid("that it works again is news, though nothing moves",
		"Deployment/hello Normal ScheduleBindingSucceed Clusters were chosen: us:2.")
	d.wantClusters("corrected", targets("us", 2))
	if c := d.condition(); c.Status != metav1.ConditionTrue {
		t.Errorf("condition: %+v", c)
	}
}

func TestReconcileUnknownNameBesideOthers(t *testing.T) {
	d := newDesk(t, bindingOf(specOf(2, policyv1alpha1.Placement{ClusterAffinity: named("eu", "mars"), ReplicaScheduling: dividedBy()})), cluster("eu"))
	d.settle()
	d.wantWrites("the name is told in the write of the decision", 1)
	want := "Clusters were chosen, but the placement names some that are not in the federation: " +
		"mars: no such cluster (placement.clusterAffinity.clusterNames). Register them, or correct the policy."
	if c := d.condition(); c.Status != metav1.ConditionTrue || c.Message != want {
		t.Errorf("condition: %+v", c)
	}
	d.said = nil
	d.snap = snapshot.New(cluster("eu"), cluster("mars"))
	d.settle()
	d.wantWrites("once the cluster is there, the complaint goes", 1)
	d.wantClusters("without moving divided replicas", targets("eu", 2))
	d.wantSaid("and that is no news")
	if c := d.condition(); c.Message != "Clusters were chosen." {
		t.Errorf("condition: %+v", c)
	}
}

func TestReconcileAffinityGroup(t *testing.T) {
	d := newDesk(t, bindingOf(specOf(2, policyv1alpha1.Placement{
		ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{group("near", "ap"), group("far", "eu")}})), cluster("ap", notReady), cluster("eu"))
	d.settle()
	d.wantClusters("the second group", targets("eu", 2))
	if got := d.binding.GetStatus().SchedulerObservingAffinityName; got != "far" {
		t.Errorf("affinity in use: %q", got)
	}
	d.writes = 0
	d.snap = snapshot.New(cluster("ap"), cluster("eu"))
	d.settle()
	d.wantWrites("the first group is back, and the second is still good", 0)
	later := metav1.NewTime(clock.Add(time.Minute))
	d.binding.GetSpec().RescheduleTriggeredAt = &later
	d.settle()
	d.wantClusters("a rebalance begins with the first group", targets("ap", 2))
	if got := d.binding.GetStatus().SchedulerObservingAffinityName; got != "near" {
		t.Errorf("affinity in use: %q", got)
	}
}

func TestReconcileEviction(t *testing.T) {
	d := scheduledDesk(t, specOf(4, policyv1alpha1.Placement{ReplicaScheduling: dividedBy()}), cluster("eu"), cluster("us"))
	spec := d.binding.GetSpec()
	spec.Clusters = targets("us", 2)
	spec.GracefulEvictionTasks = []workv1alpha2.GracefulEvictionTask{{FromCluster: "eu", Reason: "TaintUntolerated"}}
	d.settle()
	d.wantClusters("what was evicted goes elsewhere", targets("us", 4))
}

func TestReconcileErrors(t *testing.T) {
	fresh := func() *desk { return newDesk(t, bindingOf(specOf(2, policyv1alpha1.Placement{})), cluster("eu")) }
	resource := workv1alpha2.Resource("resourcebindings")

	d := fresh()
	d.fail = apierrors.NewConflict(resource, "hello", errors.New("newer"))
	d.reconcile()
	if d.err != nil || d.result.RequeueAfter == 0 {
		t.Errorf("a conflict is tried again and is no error: %v, %v", d.err, d.result)
	}
	d.wantSaid("nothing was written, so there is nothing to tell")

	d = fresh()
	d.fail = apierrors.NewNotFound(resource, "hello")
	d.reconcile()
	if d.err != nil || d.result.RequeueAfter != 0 {
		t.Errorf("a binding that is gone is done: %v, %v", d.err, d.result)
	}

	d = fresh()
	d.fail = apierrors.NewServiceUnavailable("down")
	d.reconcile()
	if !apierrors.IsServiceUnavailable(d.err) {
		t.Errorf("other errors go back to the queue's rate limit: %v", d.err)
	}
	d.fail = nil
	d.settle()
	d.wantWrites("and then it works", 1)
}
