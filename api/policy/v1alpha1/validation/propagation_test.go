package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// summary is what tests look at: field and type of each error, not its words.
func summary(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Field+" "+string(err.Type))
	}
	return all
}

func ptr[T any](v T) *T { return &v }

func validPolicy() *policyv1alpha1.PropagationPolicy {
	p := &policyv1alpha1.PropagationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: policyv1alpha1.PropagationSpec{
			ResourceSelectors: []policyv1alpha1.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment"}},
		},
	}
	policyv1alpha1.SetDefaults_PropagationSpec(&p.Spec)
	return p
}

func TestValidatePolicy(t *testing.T) {
	type spec = policyv1alpha1.PropagationSpec
	cases := map[string]struct {
		reason string
		change func(*spec)
		want   []string
	}{
		"Valid":               {reason: "The smallest policy.", change: func(*spec) {}},
		"NoSelector":          {reason: "A policy must select something.", change: func(s *spec) { s.ResourceSelectors = nil }, want: []string{"spec.resourceSelectors FieldValueRequired"}},
		"SelectorWithoutKind": {reason: "A kind needs both.", change: func(s *spec) { s.ResourceSelectors[0] = policyv1alpha1.ResourceSelector{} }, want: []string{"spec.resourceSelectors[0].apiVersion FieldValueRequired", "spec.resourceSelectors[0].kind FieldValueRequired"}},
		"BadAPIVersion":       {reason: "There is one slash at most.", change: func(s *spec) { s.ResourceSelectors[0].APIVersion = "a/b/c" }, want: []string{"spec.resourceSelectors[0].apiVersion FieldValueInvalid"}},
		"NoVersion":           {reason: "A group alone is not an apiVersion.", change: func(s *spec) { s.ResourceSelectors[0].APIVersion = "apps/" }, want: []string{"spec.resourceSelectors[0].apiVersion FieldValueInvalid"}},
		"OwnNamespace":        {reason: "The policy's own namespace may be written out.", change: func(s *spec) { s.ResourceSelectors[0].Namespace = "shop" }},
		"OtherNamespace":      {reason: "A namespaced policy does not reach further, so it selects nothing there.", change: func(s *spec) { s.ResourceSelectors[0].Namespace = "bank" }},
		"NoNamespace":         {reason: "Nor anything in what can be no namespace.", change: func(s *spec) { s.ResourceSelectors[0].Namespace = "No Namespace" }},
		"EmptyDependent":      {reason: "Nothing depends on it.", change: func(s *spec) { s.DependentOverrides = []string{""} }},
		"BadLabelSelector": {reason: "The selector could not be evaluated.", change: func(s *spec) {
			s.ResourceSelectors[0].LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}
		}, want: []string{"spec.resourceSelectors[0].labelSelector.matchLabels FieldValueInvalid"}},
		"SuspendedTwice": {reason: "Everything is suspended already.", change: func(s *spec) {
			s.Suspension = &policyv1alpha1.Suspension{Dispatching: ptr(true), DispatchingOnClusters: &policyv1alpha1.SuspendClusters{ClusterNames: []string{"eu"}}}
		}, want: []string{"spec.suspension.dispatchingOnClusters FieldValueForbidden"}},
		"SuspendedOnNobody": {reason: "No clusters are not some clusters.", change: func(s *spec) {
			s.Suspension = &policyv1alpha1.Suspension{Dispatching: ptr(true), DispatchingOnClusters: &policyv1alpha1.SuspendClusters{}}
		}},
		"SuspendedOnSome": {reason: "Only some are suspended.", change: func(s *spec) {
			s.Suspension = &policyv1alpha1.Suspension{Dispatching: ptr(false), DispatchingOnClusters: &policyv1alpha1.SuspendClusters{ClusterNames: []string{"eu"}}}
		}},
		"NoPriorityClass": {reason: "A reference must refer.", change: func(s *spec) { s.SchedulePriority = &policyv1alpha1.SchedulePriority{} }, want: []string{"spec.schedulePriority.priorityClassSource FieldValueRequired", "spec.schedulePriority.priorityClassName FieldValueRequired"}},
		"BadPriorityClass": {reason: "No PriorityClass can have that name.", change: func(s *spec) {
			s.SchedulePriority = &policyv1alpha1.SchedulePriority{PriorityClassSource: policyv1alpha1.KubePriorityClass, PriorityClassName: "a b"}
		}, want: []string{"spec.schedulePriority.priorityClassName FieldValueInvalid"}},
		"Grace": {reason: "A graceful purge has a period.", change: func(s *spec) {
			s.Failover = &policyv1alpha1.FailoverBehavior{Application: &policyv1alpha1.ApplicationFailoverBehavior{PurgeMode: policyv1alpha1.PurgeModeGracefully, GracePeriodSeconds: ptr(int32(60))}}
		}},
		"GraceWithoutGrace": {reason: "Another purge has no period.", change: func(s *spec) {
			s.Failover = &policyv1alpha1.FailoverBehavior{Application: &policyv1alpha1.ApplicationFailoverBehavior{PurgeMode: policyv1alpha1.PurgeModeNever, GracePeriodSeconds: ptr(int32(0))}}
		}, want: []string{"spec.failover.application.gracePeriodSeconds FieldValueForbidden", "spec.failover.application.gracePeriodSeconds FieldValueInvalid"}},
		"NegativeToleration": {reason: "Time does not run backwards.", change: func(s *spec) {
			s.Failover = &policyv1alpha1.FailoverBehavior{Application: &policyv1alpha1.ApplicationFailoverBehavior{DecisionConditions: policyv1alpha1.DecisionConditions{TolerationSeconds: ptr(int32(-1))}}}
		}, want: []string{"spec.failover.application.decisionConditions.tolerationSeconds FieldValueInvalid"}},
		"ClusterPurgeNever": {reason: "A failed cluster is always left.", change: func(s *spec) {
			s.Failover = &policyv1alpha1.FailoverBehavior{Cluster: &policyv1alpha1.ClusterFailoverBehavior{PurgeMode: policyv1alpha1.PurgeModeNever}}
		}, want: []string{"spec.failover.cluster.purgeMode FieldValueNotSupported"}},
		"BadAlias": {reason: "What is preserved becomes a label. How it is found nobody looks at yet.", change: func(s *spec) {
			s.Failover = &policyv1alpha1.FailoverBehavior{Cluster: &policyv1alpha1.ClusterFailoverBehavior{StatePreservation: &policyv1alpha1.StatePreservation{
				Rules: []policyv1alpha1.StatePreservationRule{{AliasLabelName: "state", JSONPath: "{.a"}, {AliasLabelName: "state", JSONPath: "{.a}"}, {AliasLabelName: "-", JSONPath: "{.a}"}}}}}
		}, want: []string{"spec.failover.cluster.statePreservation.rules[2].aliasLabelName FieldValueInvalid"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy := validPolicy()
			tc.change(&policy.Spec)
			if diff := cmp.Diff(tc.want, summary(ValidatePolicy(policy))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want, summary(ValidatePolicyUpdate(policy, validPolicy()))); diff != "" {
				t.Errorf("An update must be held to the same: %s (-want +got):\n%s", tc.reason, diff)
			}
			labelled := policy.DeepCopy()
			labelled.Labels = map[string]string{"a": "b"}
			if errs := ValidatePolicyUpdate(labelled, policy); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
		})
	}
}

func TestClusterScopedPolicySelectsAnyNamespace(t *testing.T) {
	policy := &policyv1alpha1.ClusterPropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: validPolicy().Spec}
	policy.Spec.ResourceSelectors[0].Namespace = "bank"
	if errs := ValidatePolicy(policy); len(errs) > 0 {
		t.Errorf("A cluster-scoped policy may name a namespace: %v", errs)
	}
	policy.Spec.ResourceSelectors[0].Namespace = "Not a namespace"
	if errs := ValidatePolicy(policy); len(errs) == 0 {
		t.Error("There can be no such namespace.")
	}
}

func TestPolicyMetadata(t *testing.T) {
	policy := validPolicy()
	policy.Namespace, policy.Name = "", "Not valid"
	want := []string{"metadata.name FieldValueInvalid", "metadata.namespace FieldValueRequired"}
	if diff := cmp.Diff(want, summary(ValidatePolicy(policy))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPermanentIDIsImmutable(t *testing.T) {
	const id = "0b5f"
	cases := map[string]struct {
		reason   string
		old, now map[string]string
		want     []string
	}{
		"Given":   {reason: "The server gives it once.", now: map[string]string{names.PropagationPolicyPermanentIDLabel: id}},
		"Kept":    {reason: "Nothing changed.", old: map[string]string{names.PropagationPolicyPermanentIDLabel: id}, now: map[string]string{names.PropagationPolicyPermanentIDLabel: id}},
		"Changed": {reason: "Claims would be lost, though the spec is the same.", old: map[string]string{names.PropagationPolicyPermanentIDLabel: id}, now: map[string]string{names.PropagationPolicyPermanentIDLabel: "x"}, want: []string{"metadata.labels[" + names.PropagationPolicyPermanentIDLabel + "] FieldValueInvalid"}},
		"Removed": {reason: "Claims would be lost.", old: map[string]string{names.PropagationPolicyPermanentIDLabel: id}, want: []string{"metadata.labels[" + names.PropagationPolicyPermanentIDLabel + "] FieldValueInvalid"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			old, now := validPolicy(), validPolicy()
			old.Labels, now.Labels = tc.old, tc.now
			if diff := cmp.Diff(tc.want, summary(ValidatePolicyUpdate(now, old))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestValidatePlacement(t *testing.T) {
	type placement = policyv1alpha1.Placement
	in := corev1.NodeSelectorOpIn
	weighted := func(w policyv1alpha1.ClusterPreferences) placement {
		return placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
			ReplicaSchedulingType:     policyv1alpha1.ReplicaSchedulingTypeDivided,
			ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceWeighted,
			WeightPreference:          &w,
		}}
	}
	cases := map[string]struct {
		reason string
		in     placement
		want   []string
	}{
		"Empty": {reason: "Every cluster.", in: placement{}},
		"BothAffinities": {reason: "One of the two would be ignored.",
			in:   placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{}, ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{{AffinityName: "a"}}},
			want: []string{"p.clusterAffinities FieldValueForbidden"}},
		"SameAffinityName": {reason: "The status could not say which one is used.",
			in:   placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{{AffinityName: "a"}, {AffinityName: "a"}, {}}},
			want: []string{"p.clusterAffinities[1].affinityName FieldValueDuplicate", "p.clusterAffinities[2].affinityName FieldValueRequired"}},
		"SameOverflowName": {reason: "Overflow groups are told apart within their group.",
			in: placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{
				{AffinityName: "a", OverflowAffinities: []policyv1alpha1.OverflowAffinityTerm{{AffinityName: "o"}, {AffinityName: "o"}}},
				{AffinityName: "b", OverflowAffinities: []policyv1alpha1.OverflowAffinityTerm{{AffinityName: "o"}}},
			}},
			want: []string{"p.clusterAffinities[0].overflowAffinities[1].affinityName FieldValueDuplicate"}},
		"FieldSelector": {reason: "Provider, region and zone can be selected by.",
			in: placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{FieldSelector: &policyv1alpha1.FieldSelector{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: in, Values: []string{"a"}}}}}}},
		"FieldSelectorWithoutValues": {reason: "It matches no cluster, or every.",
			in: placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{FieldSelector: &policyv1alpha1.FieldSelector{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "zone", Operator: in}, {Key: "region", Operator: corev1.NodeSelectorOpNotIn}}}}}},
		"BadFieldSelector": {reason: "There is no other field and no other operator.",
			in: placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{FieldSelector: &policyv1alpha1.FieldSelector{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "name", Operator: in, Values: []string{"a"}}, {Key: "zone", Operator: corev1.NodeSelectorOpExists}}}}},
			want: []string{
				"p.clusterAffinity.fieldSelector.matchExpressions[0].key FieldValueNotSupported",
				"p.clusterAffinity.fieldSelector.matchExpressions[1].operator FieldValueNotSupported"}},
		"EmptyName": {reason: "An empty name is nobody's.",
			in: placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{""}, ExcludeClusters: []string{"a", ""}}}},
		"TolerateEverything": {reason: "No key with Exists tolerates every taint.",
			in: placement{ClusterTolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}}},
		"OddTolerations": {reason: "They mean something else than they seem to, or nothing, and do no harm.",
			in: placement{ClusterTolerations: []corev1.Toleration{
				{Value: "a"}, {Key: "a", Operator: corev1.TolerationOpExists, Value: "b"}, {Key: "a b", Value: "c d"},
				{Key: "a", TolerationSeconds: ptr(int64(5)), Effect: corev1.TaintEffectNoSchedule}}}},
		"UnknownInTolerations": {reason: "What they mean is not known.",
			in:   placement{ClusterTolerations: []corev1.Toleration{{Key: "a", Operator: "Lt", Value: "3"}, {Key: "a", Effect: "Sometimes"}}},
			want: []string{"p.clusterTolerations[0].operator FieldValueNotSupported", "p.clusterTolerations[1].effect FieldValueNotSupported"}},
		"Spread":      {reason: "Two to three regions.", in: placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByField: "region", MinGroups: 2, MaxGroups: 3}}}},
		"SpreadNoMax": {reason: "No limit is less than any minimum.", in: placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByLabel: "rack", MinGroups: 2}}}},
		"SpreadByBoth": {reason: "Groups are made by one thing.",
			in:   placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByField: "region", SpreadByLabel: "rack"}}},
			want: []string{"p.spreadConstraints[0].spreadByLabel FieldValueForbidden"}},
		"SpreadMinMax": {reason: "There is no number between.",
			in:   placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByField: "region", MinGroups: 3, MaxGroups: 2}}},
			want: []string{"p.spreadConstraints[0].maxGroups FieldValueInvalid"}},
		"SpreadNegative": {reason: "Groups are counted.",
			in:   placement{SpreadConstraints: []policyv1alpha1.SpreadConstraint{{SpreadByField: "region", MinGroups: -1, MaxGroups: -2}}},
			want: []string{"p.spreadConstraints[0].minGroups FieldValueInvalid", "p.spreadConstraints[0].maxGroups FieldValueInvalid"}},
		"Weights": {reason: "An ordinary division.", in: weighted(policyv1alpha1.ClusterPreferences{StaticWeightList: []policyv1alpha1.StaticClusterWeight{{Weight: 1}}})},
		"BadWeights": {reason: "A weight is at least 1.",
			in:   weighted(policyv1alpha1.ClusterPreferences{StaticWeightList: []policyv1alpha1.StaticClusterWeight{{Weight: 0}, {Weight: -3}}}),
			want: []string{"p.replicaScheduling.weightPreference.staticWeightList[0].weight FieldValueInvalid", "p.replicaScheduling.weightPreference.staticWeightList[1].weight FieldValueInvalid"}},
		"TwoKindsOfWeights": {reason: "Dynamic weights go before static ones.",
			in: weighted(policyv1alpha1.ClusterPreferences{DynamicWeight: policyv1alpha1.DynamicWeightByAvailableReplicas, StaticWeightList: []policyv1alpha1.StaticClusterWeight{{Weight: 1}}})},
		"UnusedWeights": {reason: "Duplicated replicas have no weights, which are checked all the same.",
			in: placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{ReplicaSchedulingType: policyv1alpha1.ReplicaSchedulingTypeDuplicated,
				WeightPreference: &policyv1alpha1.ClusterPreferences{StaticWeightList: []policyv1alpha1.StaticClusterWeight{{Weight: 1}, {Weight: -1}}}}},
			want: []string{"p.replicaScheduling.weightPreference.staticWeightList[1].weight FieldValueInvalid"}},
		"AggregatedWeights": {reason: "Aggregated looks at no weights.",
			in: placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{ReplicaSchedulingType: policyv1alpha1.ReplicaSchedulingTypeDivided,
				ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceAggregated, WeightPreference: &policyv1alpha1.ClusterPreferences{}}}},
		"UnknownDivision": {reason: "What they mean is not known.",
			in: placement{ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{ReplicaSchedulingType: "Shared", ReplicaDivisionPreference: "Fair",
				WeightPreference: &policyv1alpha1.ClusterPreferences{DynamicWeight: "Phase"}}},
			want: []string{"p.replicaScheduling.replicaSchedulingType FieldValueNotSupported", "p.replicaScheduling.replicaDivisionPreference FieldValueNotSupported",
				"p.replicaScheduling.weightPreference.dynamicWeight FieldValueNotSupported"}},
		"GroupKey": {reason: "A label key is needed.",
			in:   placement{WorkloadAffinity: &policyv1alpha1.WorkloadAffinity{Affinity: &policyv1alpha1.WorkloadAffinityTerm{}, AntiAffinity: &policyv1alpha1.WorkloadAntiAffinityTerm{GroupByLabelKey: "a b"}}},
			want: []string{"p.workloadAffinity.affinity.groupByLabelKey FieldValueRequired", "p.workloadAffinity.antiAffinity.groupByLabelKey FieldValueInvalid"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, summary(ValidatePlacement(&tc.in, field.NewPath("p")))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
