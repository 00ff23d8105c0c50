package scheduler

import (
	"fmt"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/explain"
)

// refuse looks for what this version does not do, and for what cannot be meant.
// It returns the reason of the condition and a sentence with the field and the
// way out, or two empty strings.
func refuse(spec *workv1alpha2.ResourceBindingSpec) (reason, problem string) {
	placement := spec.Placement
	unsupported := func(field, instead string) (string, string) {
		return explain.ReasonNotSupported, fmt.Sprintf("%s is not supported in this version. %s", field, instead)
	}
	if len(placement.ClusterAffinities) > 0 && placement.ClusterAffinity != nil {
		return explain.ReasonInvalidPlacement, "placement.clusterAffinity and placement.clusterAffinities exclude each other. Keep one of them in the policy."
	}
	for i := range placement.ClusterAffinities {
		if term := &placement.ClusterAffinities[i]; len(term.OverflowAffinities) > 0 {
			return unsupported(fmt.Sprintf("placement.clusterAffinities[%s].overflowAffinities", term.AffinityName),
				"List the overflow clusters in a group of their own after this one; it is used when this one has no cluster that fits.")
		}
	}
	if a := placement.WorkloadAffinity; a != nil && (a.Affinity != nil || a.AntiAffinity != nil) {
		return unsupported("placement.workloadAffinity", "Name the clusters in placement.clusterAffinity.")
	}
	if reason, problem := refuseSpread(placement.SpreadConstraints); problem != "" {
		return reason, problem
	}
	if least, most := clusterBounds(placement); most > 0 && least > most {
		return explain.ReasonInvalidPlacement, fmt.Sprintf("placement.spreadConstraints asks for at least %d and at most %d clusters. Correct the policy.", least, most)
	}
	if len(spec.Components) > 1 {
		return unsupported("A template with several components (spec.components)", "Split it into templates of one component each.")
	}
	if spec.Replicas < 0 {
		return explain.ReasonInvalidPlacement, fmt.Sprintf("spec.replicas: %d is negative. Correct the template.", spec.Replicas)
	}
	if spec.Replicas == 0 || !divided(spec) {
		return "", "" // what follows is about dividing
	}
	const instead = "Give placement.replicaScheduling.weightPreference.staticWeightList with replicaDivisionPreference Weighted, or use replicaSchedulingType Duplicated."
	strategy := placement.ReplicaScheduling
	if strategy.ReplicaSchedulingType != policyv1alpha1.ReplicaSchedulingTypeDivided && strategy.ReplicaSchedulingType != "" {
		return unsupported(fmt.Sprintf("placement.replicaScheduling.replicaSchedulingType %q", strategy.ReplicaSchedulingType), instead)
	}
	switch strategy.ReplicaDivisionPreference {
	case "", policyv1alpha1.ReplicaDivisionPreferenceWeighted:
	default:
		return unsupported(fmt.Sprintf("placement.replicaScheduling.replicaDivisionPreference %q", strategy.ReplicaDivisionPreference), instead)
	}
	if w := strategy.WeightPreference; w != nil && w.DynamicWeight != "" {
		return unsupported(fmt.Sprintf("placement.replicaScheduling.weightPreference.dynamicWeight %q", w.DynamicWeight), instead)
	}
	return "", ""
}

func refuseSpread(constraints []policyv1alpha1.SpreadConstraint) (reason, problem string) {
	for i := range constraints {
		c := &constraints[i]
		field := fmt.Sprintf("placement.spreadConstraints[%d]", i)
		switch {
		case c.SpreadByLabel != "":
			return explain.ReasonNotSupported, field + ".spreadByLabel is not supported in this version. Use spreadByField cluster, or select the clusters in placement.clusterAffinity."
		case c.SpreadByField != "" && c.SpreadByField != policyv1alpha1.SpreadByFieldCluster:
			return explain.ReasonNotSupported, fmt.Sprintf("%s.spreadByField %q is not supported in this version. Use spreadByField cluster, or select the clusters in placement.clusterAffinity.", field, c.SpreadByField)
		case c.MinGroups < 0, c.MaxGroups < 0:
			return explain.ReasonInvalidPlacement, field + ": minGroups and maxGroups cannot be negative. Correct the policy."
		}
	}
	return "", ""
}
