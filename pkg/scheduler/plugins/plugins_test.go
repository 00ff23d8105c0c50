package plugins

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/placement"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// healthy is a cluster that passes every filter; edits make it worse.
func healthy(edits ...func(*clusterv1alpha1.Cluster)) *snapshot.Cluster {
	c := &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: "eu", Labels: map[string]string{"tier": "gold"}},
		Spec:       clusterv1alpha1.ClusterSpec{Region: "west"},
		Status: clusterv1alpha1.ClusterStatus{
			Conditions: []metav1.Condition{
				{Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionTrue, Reason: "ClusterReady"},
				{Type: clusterv1alpha1.ClusterConditionCompleteAPIEnablements, Status: metav1.ConditionTrue},
			},
			APIEnablements: []clusterv1alpha1.APIEnablement{{
				GroupVersion: "apps/v1",
				Resources:    []clusterv1alpha1.APIResource{{Name: "deployments", Kind: "Deployment"}},
			}},
		},
	}
	for _, edit := range edits {
		edit(c)
	}
	return snapshot.New(c).Get("eu")
}

func condition(conditionType string, status metav1.ConditionStatus, reason string) func(*clusterv1alpha1.Cluster) {
	return func(c *clusterv1alpha1.Cluster) {
		for i := range c.Status.Conditions {
			if c.Status.Conditions[i].Type == conditionType {
				c.Status.Conditions[i].Status = status
				c.Status.Conditions[i].Reason = reason
			}
		}
	}
}

func taint(key, value string, effect corev1.TaintEffect) func(*clusterv1alpha1.Cluster) {
	return func(c *clusterv1alpha1.Cluster) {
		c.Spec.Taints = append(c.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	}
}

func deleting(c *clusterv1alpha1.Cluster) {
	now := metav1.NewTime(time.Unix(1, 0))
	c.DeletionTimestamp = &now
}

func unreported(c *clusterv1alpha1.Cluster) { c.Status = clusterv1alpha1.ClusterStatus{} }

func servesNothing(c *clusterv1alpha1.Cluster) { c.Status.APIEnablements = nil }

// asking makes the request of a Deployment; edits add to its spec.
func asking(edits ...func(*workv1alpha2.ResourceBindingSpec)) *framework.Request {
	spec := &workv1alpha2.ResourceBindingSpec{
		Resource:  workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "hello"},
		Placement: &policyv1alpha1.Placement{},
	}
	for _, edit := range edits {
		edit(spec)
	}
	r := framework.NewRequest(spec)
	r.Affinity, r.AffinityField = spec.Placement.ClusterAffinity, "placement.clusterAffinity"
	return r
}

func held(spec *workv1alpha2.ResourceBindingSpec) {
	spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 1}}
}

func tolerating(t corev1.Toleration) func(*workv1alpha2.ResourceBindingSpec) {
	return func(spec *workv1alpha2.ResourceBindingSpec) {
		spec.Placement.ClusterTolerations = append(spec.Placement.ClusterTolerations, t)
	}
}

func selecting(a policyv1alpha1.ClusterAffinity) func(*workv1alpha2.ResourceBindingSpec) {
	return func(spec *workv1alpha2.ResourceBindingSpec) { spec.Placement.ClusterAffinity = &a }
}

func evicting(task workv1alpha2.GracefulEvictionTask) func(*workv1alpha2.ResourceBindingSpec) {
	return func(spec *workv1alpha2.ResourceBindingSpec) {
		spec.GracefulEvictionTasks = append(spec.GracefulEvictionTasks, task)
	}
}

func region(operator corev1.NodeSelectorOperator, values ...string) *policyv1alpha1.FieldSelector {
	return &policyv1alpha1.FieldSelector{MatchExpressions: []corev1.NodeSelectorRequirement{
		{Key: policyv1alpha1.RegionField, Operator: operator, Values: values},
	}}
}

func TestFilters(t *testing.T) {
	const (
		noSchedule = corev1.TaintEffectNoSchedule
		noExecute  = corev1.TaintEffectNoExecute
	)
	ready, complete := clusterv1alpha1.ClusterConditionReady, clusterv1alpha1.ClusterConditionCompleteAPIEnablements
	cases := map[string]struct {
		reason  string
		request *framework.Request
		cluster *snapshot.Cluster
		// want is what the first filter that objects says, after its name.
		want string
	}{
		"Healthy": {reason: "nothing speaks against it", request: asking(), cluster: healthy()},

		"Named": {
			reason:  "the name is listed",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap", "eu"}})),
			cluster: healthy(),
		},
		"NotNamed": {
			reason:  "names admit nobody else",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap"}})),
			cluster: healthy(),
			want:    "ClusterAffinity: not named in placement.clusterAffinity.clusterNames",
		},
		"Excluded": {
			reason:  "an exclusion is stronger than a name",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}, ExcludeClusters: []string{"eu"}})),
			cluster: healthy(),
			want:    "ClusterAffinity: excluded by placement.clusterAffinity.exclude",
		},
		"LabelsMatch": {
			reason:  "the label is there",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}})),
			cluster: healthy(),
		},
		"LabelsDiffer": {
			reason:  "the label has another value",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "iron"}}})),
			cluster: healthy(),
			want:    "ClusterAffinity: labels do not match placement.clusterAffinity.labelSelector",
		},
		"FieldsMatch": {
			reason:  "the region is listed",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{FieldSelector: region(corev1.NodeSelectorOpIn, "west")})),
			cluster: healthy(),
		},
		"FieldsDiffer": {
			reason:  "the region is ruled out",
			request: asking(selecting(policyv1alpha1.ClusterAffinity{FieldSelector: region(corev1.NodeSelectorOpNotIn, "west")})),
			cluster: healthy(),
			want:    "ClusterAffinity: provider, region or zone do not match placement.clusterAffinity.fieldSelector",
		},
		"HolderNoLongerSelected": {
			reason:  "what the user wrote counts for holders, too",
			request: asking(held, selecting(policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap"}})),
			cluster: healthy(),
			want:    "ClusterAffinity: not named in placement.clusterAffinity.clusterNames",
		},

		"Evicted": {
			reason:  "it does not go back to where it is being moved from",
			request: asking(evicting(workv1alpha2.GracefulEvictionTask{FromCluster: "eu", Reason: "TaintUntolerated"})),
			cluster: healthy(),
			want:    "ClusterEviction: being evicted from it (TaintUntolerated)",
		},
		"EvictedElsewhere": {
			reason:  "a task is about one cluster",
			request: asking(evicting(workv1alpha2.GracefulEvictionTask{FromCluster: "ap", Reason: "TaintUntolerated"})),
			cluster: healthy(),
		},

		"NoSchedule": {
			reason:  "nobody tolerates the taint",
			request: asking(),
			cluster: healthy(taint("maintenance", "", noSchedule)),
			want:    "TaintToleration: taint maintenance is not tolerated",
		},
		"NoScheduleWithValue": {
			reason:  "the value is part of the explanation",
			request: asking(),
			cluster: healthy(taint("dedicated", "db", noSchedule)),
			want:    "TaintToleration: taint dedicated=db is not tolerated",
		},
		"NoScheduleHeld": {
			reason:  "NoSchedule is about what comes, not about what is there",
			request: asking(held),
			cluster: healthy(taint("maintenance", "", noSchedule)),
		},
		"NoExecuteHeld": {
			reason:  "to drive out what is there, in its time, is eviction and decided elsewhere",
			request: asking(held),
			cluster: healthy(taint("maintenance", "", noExecute)),
		},
		"NoExecuteNew": {
			reason:  "nothing new goes where things are driven out",
			request: asking(),
			cluster: healthy(taint("maintenance", "", noExecute)),
			want:    "TaintToleration: taint maintenance is not tolerated",
		},
		"NotReadyHeld": {
			reason:  "being out of reach passes, and eviction is decided elsewhere",
			request: asking(held),
			cluster: healthy(taint(names.TaintClusterNotReady, "", noExecute), taint(names.TaintClusterUnreachable, "", noExecute)),
		},
		"NotReadyNew": {
			reason:  "nothing new goes to a cluster out of reach",
			request: asking(),
			cluster: healthy(taint(names.TaintClusterNotReady, "", noExecute)),
			want:    "TaintToleration: taint cluster.karmada.io/not-ready is not tolerated",
		},
		"PreferNoSchedule": {
			reason:  "a wish is no filter",
			request: asking(),
			cluster: healthy(taint("maintenance", "", corev1.TaintEffectPreferNoSchedule)),
		},
		"ToleratedByKeyAndValue": {
			reason:  "Equal is the default operator",
			request: asking(tolerating(corev1.Toleration{Key: "dedicated", Value: "db"})),
			cluster: healthy(taint("dedicated", "db", noSchedule)),
		},
		"ToleratedOtherValue": {
			reason:  "another value is not tolerated",
			request: asking(tolerating(corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "web"})),
			cluster: healthy(taint("dedicated", "db", noSchedule)),
			want:    "TaintToleration: taint dedicated=db is not tolerated",
		},
		"ToleratedOtherEffect": {
			reason:  "a toleration of one effect says nothing about the other",
			request: asking(tolerating(corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists, Effect: noExecute})),
			cluster: healthy(taint("dedicated", "db", noSchedule)),
			want:    "TaintToleration: taint dedicated=db is not tolerated",
		},
		"ToleratedEverything": {
			reason:  "Exists without a key tolerates all",
			request: asking(tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists})),
			cluster: healthy(taint("dedicated", "db", noSchedule), taint("maintenance", "", noExecute)),
		},
		"ToleratedByValue": {
			reason:  "an empty key is any key",
			request: asking(tolerating(corev1.Toleration{Value: "db"})),
			cluster: healthy(taint("dedicated", "db", noSchedule)),
		},
		"SecondTaint": {
			reason:  "every taint must be tolerated",
			request: asking(tolerating(corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists})),
			cluster: healthy(taint("dedicated", "db", noSchedule), taint("maintenance", "", noSchedule)),
			want:    "TaintToleration: taint maintenance is not tolerated",
		},

		"NotReady": {
			reason:  "the reason of the condition helps to find the cause",
			request: asking(),
			cluster: healthy(condition(ready, metav1.ConditionFalse, "LeaseExpired")),
			want:    "ClusterReady: not ready (LeaseExpired)",
		},
		"ReadyUnknown": {
			reason:  "unknown is not ready",
			request: asking(),
			cluster: healthy(condition(ready, metav1.ConditionUnknown, "")),
			want:    "ClusterReady: not ready",
		},
		"NotReadyButHeld": {
			reason:  "a holder is not given up for a passing weakness",
			request: asking(held),
			cluster: healthy(condition(ready, metav1.ConditionFalse, "LeaseExpired")),
		},
		"NeverReported": {
			reason:  "a cluster that was registered a moment ago",
			request: asking(),
			cluster: healthy(unreported),
			want:    "ClusterReady: not ready: its agent has not reported yet",
		},
		"Removed": {
			reason:  "a cluster that leaves gets nothing",
			request: asking(),
			cluster: healthy(deleting),
			want:    "ClusterReady: being removed from the federation",
		},
		"RemovedAndHeld": {
			reason:  "a cluster that leaves keeps nothing",
			request: asking(held),
			cluster: healthy(deleting),
			want:    "ClusterReady: being removed from the federation",
		},

		"NotServed": {
			reason:  "the kind is missing in a complete list",
			request: asking(),
			cluster: healthy(servesNothing),
			want:    "APIEnablement: does not serve apps/v1 Deployment",
		},
		"NotServedAndHeld": {
			reason:  "a complete list is believed, also about holders",
			request: asking(held),
			cluster: healthy(servesNothing),
			want:    "APIEnablement: does not serve apps/v1 Deployment",
		},
		"IncompleteList": {
			reason:  "nothing new goes where the kind was not seen",
			request: asking(),
			cluster: healthy(servesNothing, condition(complete, metav1.ConditionFalse, "Partial")),
			want:    "APIEnablement: does not list apps/v1 Deployment among the kinds it serves, and its list is incomplete",
		},
		"IncompleteListHeld": {
			reason:  "a holder served it once, and the list is incomplete",
			request: asking(held),
			cluster: healthy(servesNothing, condition(complete, metav1.ConditionFalse, "Partial")),
		},
		"OtherVersion": {
			reason: "another version of the kind is another kind",
			request: asking(func(spec *workv1alpha2.ResourceBindingSpec) {
				spec.Resource.APIVersion = "apps/v2"
			}),
			cluster: healthy(),
			want:    "APIEnablement: does not serve apps/v2 Deployment",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fit, rejections, err := framework.Run(Filters(), tc.request, snapshot.New(tc.cluster.Object))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			got := ""
			for _, r := range rejections {
				got += r.Plugin + ": " + r.Reason
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if (len(fit) == 1) != (tc.want == "") {
				t.Errorf("%s: fit is %d clusters, rejected %q", tc.reason, len(fit), got)
			}
		})
	}
}

func TestInvalidSelector(t *testing.T) {
	request := asking(selecting(policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}},
	}}))
	_, _, err := framework.Run(Filters(), request, snapshot.New(healthy().Object))
	if !errors.Is(err, placement.ErrInvalidAffinity) {
		t.Errorf("a selector that does not parse: got %v, want ErrInvalidAffinity", err)
	}
}
