package scheduler

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

func TestSchedule(t *testing.T) {
	type placement = policyv1alpha1.Placement
	three := fleet("eu", "ap", "us")
	cases := map[string]struct {
		reason   string
		snap     *snapshot.Snapshot
		spec     *workv1alpha2.ResourceBindingSpec
		template types.UID
		want     []workv1alpha2.TargetCluster
	}{
		"Tutorial": {
			reason: "three replicas over equal weights",
			spec: specOf(3, placement{ClusterAffinity: named("eu", "ap", "us"),
				ReplicaScheduling: dividedBy(weight(1, "eu"), weight(1, "ap"), weight(1, "us"))}),
			want: targets("ap", 1, "eu", 1, "us", 1),
		},
		"TutorialScaled": {
			reason: "ten replicas over equal weights, the odd one up the alphabet",
			spec: specOf(10, placement{ReplicaScheduling: dividedBy(weight(1, "eu"), weight(1, "ap"), weight(1, "us"))},
				targets("ap", 1, "eu", 1, "us", 1)...),
			template: evenUID,
			want:     targets("ap", 4, "eu", 3, "us", 3),
		},
		"TutorialScaledOdd": {
			reason:   "and down the alphabet for another template",
			spec:     specOf(10, placement{ReplicaScheduling: dividedBy()}),
			template: oddUID,
			want:     targets("ap", 3, "eu", 3, "us", 4),
		},
		"TutorialWeighted": {
			reason: "ten replicas over 2, 1 and 2: divided afresh, whatever was held",
			spec: specOf(10, placement{ReplicaScheduling: dividedBy(weight(2, "us"), weight(1, "ap"), weight(2, "eu"))},
				targets("ap", 4, "eu", 3, "us", 3)...),
			want: targets("ap", 2, "eu", 4, "us", 4),
		},
		"NoRuleNoShare": {
			reason: "a cluster that no rule weighs gets nothing",
			spec:   specOf(4, placement{ReplicaScheduling: dividedBy(weight(1, "eu"), weight(1, "us"))}),
			want:   targets("eu", 2, "us", 2),
		},
		"NoRuleForAnybody": {
			reason: "weights that hit nobody say nothing: all count as 1",
			spec:   specOf(3, placement{ClusterAffinity: named("eu", "ap"), ReplicaScheduling: dividedBy(weight(5, "us"))}),
			want:   targets("ap", 2, "eu", 1),
		},
		"HighestRule": {
			reason: "of several rules for a cluster the heaviest counts, in any order",
			spec: specOf(8, placement{ReplicaScheduling: dividedBy(
				weight(1, "eu", "us"), weight(3, "eu"), weight(2, "eu"))}),
			want: targets("eu", 6, "us", 2),
		},
		"SelectorRule": {
			reason: "a rule by label beats a lighter rule by name, and not a heavier one",
			snap:   snapshot.New(cluster("eu", labelled("tier", "gold")), cluster("us", labelled("tier", "gold"))),
			spec: specOf(8, placement{ReplicaScheduling: dividedBy(
				weight(1, "eu"), weight(6, "us"),
				policyv1alpha1.StaticClusterWeight{Weight: 2, TargetCluster: policyv1alpha1.ClusterAffinity{
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}}})}),
			want: targets("eu", 2, "us", 6),
		},
		"EmptyTargetIsEveryCluster": {
			reason: "a rule without a selector weighs all, as an empty affinity admits all",
			spec: specOf(4, placement{ReplicaScheduling: dividedBy(
				policyv1alpha1.StaticClusterWeight{Weight: 1}, weight(2, "us"))}),
			want: targets("ap", 1, "eu", 1, "us", 2),
		},
		"FewerReplicasThanClusters": {
			reason: "no entry of zero",
			spec:   specOf(2, placement{ReplicaScheduling: dividedBy()}),
			want:   targets("ap", 1, "eu", 1),
		},
		"Duplicated": {
			reason: "each cluster gets the full count",
			spec:   specOf(3, placement{ReplicaScheduling: duplicated}),
			want:   targets("ap", 3, "eu", 3, "us", 3),
		},
		"NoStrategy": {
			reason: "a placement that says nothing about replicas repeats them",
			spec:   specOf(3, placement{}),
			want:   targets("ap", 3, "eu", 3, "us", 3),
		},
		"NoReplicas": {
			reason: "a kind without replicas goes to every selected cluster, weights or not",
			spec:   specOf(0, placement{ReplicaScheduling: dividedBy(weight(1, "eu"))}),
			want:   targets("ap", 0, "eu", 0, "us", 0),
		},
		"DefaultedType": {
			reason: "a strategy without a type divides",
			spec:   specOf(3, placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{}}),
			want:   targets("ap", 1, "eu", 1, "us", 1),
		},
		"NotReadySkipped": {
			reason: "the share of a cluster that is down goes to the others",
			snap:   snapshot.New(cluster("eu", notReady), cluster("ap"), cluster("us")),
			spec:   specOf(4, placement{ReplicaScheduling: dividedBy()}),
			want:   targets("ap", 2, "us", 2),
		},
		"NotReadyHolderKeeps": {
			reason: "scaling up does not take away what a cluster that is down has",
			snap:   snapshot.New(cluster("eu", notReady), cluster("ap"), cluster("us")),
			spec:   specOf(6, placement{ReplicaScheduling: dividedBy()}, targets("ap", 1, "eu", 1, "us", 1)...),
			want:   targets("ap", 2, "eu", 2, "us", 2),
		},
		"UnknownNameBesideOthers": {
			reason: "a name too many does not keep the others out",
			spec:   specOf(2, placement{ClusterAffinity: named("eu", "mars", "us"), ReplicaScheduling: dividedBy()}),
			want:   targets("eu", 1, "us", 1),
		},
		"FirstGroupThatFits": {
			reason: "the first group has no cluster",
			spec: specOf(2, placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{
				group("moon", "moon"), group("home", "eu"), group("rest", "us")}, ReplicaScheduling: dividedBy()}),
			want: targets("eu", 2),
		},
		"AtMost": {
			reason: "of three that fit, two are enough: the first in the order of ties",
			spec:   specOf(2, placement{SpreadConstraints: spread(1, 2), ReplicaScheduling: duplicated}),
			want:   targets("ap", 2, "eu", 2),
		},
		"AtMostTwice": {
			reason: "of several limits the lowest holds, in any order",
			spec:   specOf(2, placement{SpreadConstraints: append(spread(0, 1), spread(0, 2)...)}),
			want:   targets("ap", 2),
		},
		"AtMostPrefersHolders": {
			reason: "a limit does not move what is there",
			spec:   specOf(2, placement{SpreadConstraints: spread(1, 2), ReplicaScheduling: duplicated}, targets("us", 2)...),
			want:   targets("ap", 2, "us", 2),
		},
		"AtMostPrefersWeight": {
			reason: "without holders the heavier come first",
			spec: specOf(5, placement{SpreadConstraints: spread(1, 2),
				ReplicaScheduling: dividedBy(weight(1, "ap"), weight(2, "eu"), weight(3, "us"))}),
			want: targets("eu", 2, "us", 3),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.snap == nil {
				tc.snap = three
			}
			if tc.template == "" && !strings.HasSuffix(name, "Odd") {
				tc.template = evenUID
			}
			before := tc.spec.DeepCopy()
			decision, diagnosis := Schedule(tc.snap, Question{Spec: tc.spec, Template: tc.template})
			if diff := cmp.Diff(tc.want, decision.Clusters); diff != "" {
				t.Errorf("%s (-want +got):\n%s%s", tc.reason, diff, diagnosis.Message())
			}
			if diagnosis.Reason != workv1alpha2.BindingReasonSuccess {
				t.Errorf("%s: reason %s", tc.reason, diagnosis.Reason)
			}
			if diff := cmp.Diff(before, tc.spec); diff != "" {
				t.Errorf("the question was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestScheduleExplains(t *testing.T) {
	type placement = policyv1alpha1.Placement
	const again = ". This is tried again whenever the policy or a cluster changes."
	const instead = " Give placement.replicaScheduling.weightPreference.staticWeightList with replicaDivisionPreference Weighted, or use replicaSchedulingType Duplicated."
	cases := map[string]struct {
		reason      string
		snap        *snapshot.Snapshot
		spec        *workv1alpha2.ResourceBindingSpec
		wantReason  string
		wantMessage string
	}{
		"Success": {
			reason: "nothing to say", spec: specOf(1, placement{}),
			wantReason: "Success", wantMessage: "Clusters were chosen.",
		},
		"UnknownNameBesideOthers": {
			reason: "a name that belongs to no cluster is told even though others fit",
			spec: specOf(2, placement{ClusterAffinity: named("eu", "", "mars", "mars"),
				ReplicaScheduling: dividedBy(weight(1, "eu"), weight(2, "venus"))}),
			wantReason: "Success",
			wantMessage: "Clusters were chosen, but the placement names some that are not in the federation: " +
				"mars: no such cluster (placement.clusterAffinity.clusterNames); " +
				"venus: no such cluster (placement.replicaScheduling.weightPreference.staticWeightList[1].targetCluster.clusterNames). " +
				"Register them, or correct the policy.",
		},
		"NothingFits": {
			reason: "every cluster has its reason, and clusters with the same reason share it",
			snap: snapshot.New(cluster("ap", tainted("cluster.karmada.io/not-ready")), cluster("eu", notReady),
				cluster("fr"), cluster("it"), cluster("us", leaving)),
			spec:       specOf(2, placement{ClusterAffinity: named("ap", "eu", "us", "mars")}),
			wantReason: "NoClusterFit",
			wantMessage: "0/5 clusters fit: ap: taint cluster.karmada.io/not-ready is not tolerated; eu: not ready (LeaseExpired); " +
				"fr, it: not named in placement.clusterAffinity.clusterNames; us: being removed from the federation; " +
				"mars: no such cluster (placement.clusterAffinity.clusterNames)" + again,
		},
		"NoClusters": {
			reason: "an empty federation", snap: fleet(), spec: specOf(2, placement{}),
			wantReason: "NoClusterFit", wantMessage: "0/0 clusters fit: no cluster has joined the federation" + again,
		},
		"Groups": {
			reason: "each group is explained, with the names that are its own",
			spec: specOf(2, placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{
				group("near", "moon"), group("far", "mars")}}),
			snap:       fleet("eu"),
			wantReason: "NoClusterFit",
			wantMessage: "group near: 0/1 clusters fit: eu: not named in placement.clusterAffinities[near].clusterNames; " +
				"moon: no such cluster (placement.clusterAffinities[near].clusterNames) | " +
				"group far: 0/1 clusters fit: eu: not named in placement.clusterAffinities[far].clusterNames; " +
				"mars: no such cluster (placement.clusterAffinities[far].clusterNames)" + again,
		},
		"TooFewClusters": {
			reason: "a minimum is missed", snap: snapshot.New(cluster("ap"), cluster("eu", notReady)),
			spec:       specOf(2, placement{SpreadConstraints: spread(2, 0)}),
			wantReason: "Unschedulable",
			wantMessage: "1/2 clusters fit: placement.spreadConstraints asks for at least 2 clusters, and only 1 can be chosen; " +
				"eu: not ready (LeaseExpired)" + again,
		},
		"TooFewReplicas": {
			reason: "a minimum cannot be met with so few replicas", snap: fleet("ap", "eu", "us"),
			spec:       specOf(2, placement{SpreadConstraints: spread(3, 0), ReplicaScheduling: dividedBy()}),
			wantReason: "Unschedulable",
			wantMessage: "3/3 clusters fit: placement.spreadConstraints asks for at least 3 clusters, and the replicas reach only 2" +
				again,
		},
		"DynamicWeight": {
			reason: "not done in this version, and nothing else is done in its place",
			spec: specOf(2, placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
				ReplicaSchedulingType:     policyv1alpha1.ReplicaSchedulingTypeDivided,
				ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceWeighted,
				WeightPreference:          &policyv1alpha1.ClusterPreferences{DynamicWeight: policyv1alpha1.DynamicWeightByAvailableReplicas},
			}}),
			wantReason:  "NotSupported",
			wantMessage: `placement.replicaScheduling.weightPreference.dynamicWeight "AvailableReplicas" is not supported in this version.` + instead,
		},
		"Aggregated": {
			reason: "not done in this version",
			spec: specOf(2, placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
				ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceAggregated,
			}}),
			wantReason:  "NotSupported",
			wantMessage: `placement.replicaScheduling.replicaDivisionPreference "Aggregated" is not supported in this version.` + instead,
		},
		"WorkloadAffinity": {
			reason:      "not done in this version",
			spec:        specOf(2, placement{WorkloadAffinity: &policyv1alpha1.WorkloadAffinity{AntiAffinity: &policyv1alpha1.WorkloadAntiAffinityTerm{GroupByLabelKey: "app"}}}),
			wantReason:  "NotSupported",
			wantMessage: "placement.workloadAffinity is not supported in this version. Name the clusters in placement.clusterAffinity.",
		},
		"SpreadByRegion": {
			reason:      "not done in this version, for kinds without replicas either",
			spec:        specOf(0, placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByField: policyv1alpha1.SpreadByFieldRegion}}}),
			wantReason:  "NotSupported",
			wantMessage: `placement.spreadConstraints[0].spreadByField "region" is not supported in this version. Use spreadByField cluster, or select the clusters in placement.clusterAffinity.`,
		},
		"SpreadByLabel": {
			reason:      "not done in this version",
			spec:        specOf(0, placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByLabel: "rack"}}}),
			wantReason:  "NotSupported",
			wantMessage: "placement.spreadConstraints[0].spreadByLabel is not supported in this version. Use spreadByField cluster, or select the clusters in placement.clusterAffinity.",
		},
		"Overflow": {
			reason: "not done in this version",
			spec: specOf(2, placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{{
				AffinityName: "near", OverflowAffinities: []policyv1alpha1.OverflowAffinityTerm{{AffinityName: "far"}}}}}),
			wantReason: "NotSupported",
			wantMessage: "placement.clusterAffinities[near].overflowAffinities is not supported in this version. " +
				"List the overflow clusters in a group of their own after this one; it is used when this one has no cluster that fits.",
		},
		"Components": {
			reason: "not done in this version",
			spec: func() *workv1alpha2.ResourceBindingSpec {
				s := specOf(0, placement{})
				s.Components = []workv1alpha2.Component{{Name: "a", Replicas: 1}, {Name: "b", Replicas: 1}}
				return s
			}(),
			wantReason:  "NotSupported",
			wantMessage: "A template with several components (spec.components) is not supported in this version. Split it into templates of one component each.",
		},
		"BoundsContradict": {
			reason:      "more at least than at most",
			spec:        specOf(2, placement{SpreadConstraints: spread(3, 2)}),
			wantReason:  "InvalidPlacement",
			wantMessage: "placement.spreadConstraints asks for at least 3 and at most 2 clusters. Correct the policy.",
		},
		"BothAffinities": {
			reason:      "they exclude each other",
			spec:        specOf(2, placement{ClusterAffinity: named("eu"), ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{group("a", "eu")}}),
			wantReason:  "InvalidPlacement",
			wantMessage: "placement.clusterAffinity and placement.clusterAffinities exclude each other. Keep one of them in the policy.",
		},
		"NegativeWeight": {
			reason:     "a binding written by hand",
			spec:       specOf(2, placement{ReplicaScheduling: dividedBy(weight(1, "eu"), weight(-1, "us"))}),
			wantReason: "InvalidPlacement",
			wantMessage: "The placement cannot be evaluated: placement.replicaScheduling.weightPreference.staticWeightList[1].weight: " +
				"-1 is negative. Correct the policy.",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.snap == nil {
				tc.snap = fleet("ap", "eu", "us")
			}
			decision, diagnosis := Schedule(tc.snap, Question{Spec: tc.spec, Template: evenUID})
			if diagnosis.Reason != tc.wantReason {
				t.Errorf("%s: reason %s, want %s", tc.reason, diagnosis.Reason, tc.wantReason)
			}
			if diff := cmp.Diff(tc.wantMessage, diagnosis.Message()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if decision.Made() != (tc.wantReason == "Success") {
				t.Errorf("%s: decided %v", tc.reason, decision.Clusters)
			}
		})
	}
}

func TestScheduleStaysInItsGroup(t *testing.T) {
	spec := specOf(2, policyv1alpha1.Placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{
		group("first", "ap"), group("second", "eu"), group("third", "us")}})
	decide := func(snap *snapshot.Snapshot, current string) string {
		decision, _ := Schedule(snap, Question{Spec: spec, Template: evenUID, Affinity: current})
		return decision.Affinity
	}
	if got := decide(fleet("ap", "eu", "us"), ""); got != "first" {
		t.Errorf("without a group in use the first is tried first: got %q", got)
	}
	if got := decide(fleet("ap", "eu", "us"), "second"); got != "second" {
		t.Errorf("the group in use is kept while it fits: got %q", got)
	}
	if got := decide(fleet("ap", "us"), "second"); got != "first" {
		t.Errorf("when it does not fit, the others follow in order: got %q", got)
	}
	if got := decide(fleet("us"), "no longer there"); got != "third" {
		t.Errorf("a group that is no longer in the placement is no preference: got %q", got)
	}
}
