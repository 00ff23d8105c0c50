package scheduler

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// release does to a binding what the deletion of its policy does.
func release(b *workv1alpha2.ResourceBinding) *workv1alpha2.ResourceBinding {
	delete(b.Labels, names.PropagationPolicyPermanentIDLabel)
	return b
}

// releasedDesk is a desk whose binding was scheduled and then released.
func releasedDesk(t *testing.T, strategy *policyv1alpha1.ReplicaSchedulingStrategy, clusters ...*clusterv1alpha1.Cluster) *desk {
	t.Helper()
	d := scheduledDesk(t, specOf(4, policyv1alpha1.Placement{
		ClusterAffinity:   &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}},
		ReplicaScheduling: strategy,
	}), clusters...)
	d.binding = release(d.binding.DeepCopyObject().(*workv1alpha2.ResourceBinding))
	return d
}

var gold = labelled("tier", "gold")

// After its policy was deleted, what was placed stays where it is, whatever
// becomes of the clusters and of the binding.
func TestReconcileReleased(t *testing.T) {
	executing := func(c *clusterv1alpha1.Cluster) {
		c.Spec.Taints = append(c.Spec.Taints, corev1.Taint{Key: "maintenance", Effect: corev1.TaintEffectNoExecute})
	}
	eu, us := cluster("eu", gold), cluster("us", gold)
	cases := map[string]struct {
		clusters []*clusterv1alpha1.Cluster
		edit     func(*workv1alpha2.ResourceBinding)
	}{
		"ClusterJoins":     {clusters: []*clusterv1alpha1.Cluster{eu, us, cluster("ap", gold)}},
		"ClusterRelabeled": {clusters: []*clusterv1alpha1.Cluster{eu, cluster("us")}},
		"ClusterTainted":   {clusters: []*clusterv1alpha1.Cluster{eu, cluster("us", gold, executing, tainted("maintenance"))}},
		"ClusterNotReady":  {clusters: []*clusterv1alpha1.Cluster{eu, cluster("us", gold, notReady)}},
		"Scaled":           {edit: func(b *workv1alpha2.ResourceBinding) { b.Spec.Replicas = 9 }},
		"Replaced":         {edit: func(b *workv1alpha2.ResourceBinding) { b.Spec.Placement = &policyv1alpha1.Placement{} }},
		"Rebalanced": {edit: func(b *workv1alpha2.ResourceBinding) {
			b.Spec.RescheduleTriggeredAt = &metav1.Time{Time: clock.Add(time.Hour)}
		}},
		"NoRecord": {edit: func(b *workv1alpha2.ResourceBinding) {
			b.Annotations, b.Status = nil, workv1alpha2.ResourceBindingStatus{}
		}},
		"NeverPlaced": {edit: func(b *workv1alpha2.ResourceBinding) {
			b.Spec.Clusters, b.Annotations, b.Status = nil, nil, workv1alpha2.ResourceBindingStatus{}
		}},
	}
	for name, tc := range cases {
		for kind, strategy := range map[string]*policyv1alpha1.ReplicaSchedulingStrategy{"Divided": dividedBy(), "Duplicated": duplicated} {
			t.Run(name+kind, func(t *testing.T) {
				d := releasedDesk(t, strategy, eu, us)
				if tc.clusters != nil {
					d.snap = snapshot.New(tc.clusters...)
				}
				if tc.edit != nil {
					tc.edit(d.binding.(*workv1alpha2.ResourceBinding))
				}
				d.settle()
				d.wantWrites("nobody has claimed it", 0)
				d.wantSaid("nothing happened")
			})
		}
	}
}

func TestReconcileReleasedClusterGone(t *testing.T) {
	for name, remains := range map[string][]*clusterv1alpha1.Cluster{
		"Gone":    {cluster("us", gold), cluster("ap", gold)},
		"Leaving": {cluster("eu", gold, leaving), cluster("us", gold), cluster("ap", gold)},
	} {
		t.Run(name, func(t *testing.T) {
			d := releasedDesk(t, dividedBy(), cluster("eu", gold), cluster("us", gold))
			before := d.condition()
			d.snap = snapshot.New(remains...)
			d.settle()
			d.wantWrites("it is no place to stay", 1)
			d.wantClusters("its share goes nowhere, nobody says where to", targets("us", 2))
			d.wantSaid("no clusters were chosen")
			if d.condition() != before {
				t.Errorf("the condition tells of the last decision, and was made %+v", d.condition())
			}
		})
	}
	d := releasedDesk(t, duplicated, cluster("eu", gold))
	d.snap = snapshot.New(cluster("us", gold))
	d.settle()
	d.wantClusters("and a template that is nowhere goes nowhere", []workv1alpha2.TargetCluster{})
}

func TestReconcileClaimedAgain(t *testing.T) {
	d := releasedDesk(t, duplicated, cluster("eu", gold))
	d.snap = snapshot.New(cluster("eu", gold), cluster("us", gold))
	was := d.binding.DeepCopyObject().(*workv1alpha2.ResourceBinding)
	d.binding.SetAnnotations(map[string]string{names.ClusterPropagationPolicyNameAnnotation: "all"})
	if !worthALook(was, d.binding) {
		t.Error("a claim is worth a look, though the spec is as it was")
	}
	d.settle()
	d.wantClusters("the new policy follows the clusters", targets("eu", 4, "us", 4))
}

// A binding that a person has made is placed as long as it is nowhere.
func TestReconcileHandMade(t *testing.T) {
	b := bindingOf(specOf(2, policyv1alpha1.Placement{ClusterAffinity: named("us", "ap"), ReplicaScheduling: duplicated}))
	b.Labels = nil
	d := newDesk(t, b, cluster("eu"))
	d.settle()
	d.wantWrites("it is told why not", 1)
	d.snap = snapshot.New(cluster("eu"), cluster("us"))
	d.settle()
	d.wantWrites("and placed when there is a cluster", 1)
	d.wantClusters("as its placement says", targets("us", 2))

	d.snap = snapshot.New(cluster("eu"), cluster("us"), cluster("ap"))
	d.settle()
	d.wantWrites("from then on it stays", 0)
	d.binding.GetSpec().Clusters = nil
	d.settle()
	d.wantClusters("until somebody takes its clusters away", targets("ap", 2, "us", 2))
}
