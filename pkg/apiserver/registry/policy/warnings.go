package policy

import (
	"fmt"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// notActedOn names the fields of a policy that are stored but have no effect in
// this version, so that nobody relies on them without knowing.
func notActedOn(spec *policyv1alpha1.PropagationSpec) []string {
	var out []string
	warn := func(set bool, path, instead string) {
		if set {
			out = append(out, fmt.Sprintf("%s is stored but has no effect in this version: %s", path, instead))
		}
	}
	warn(spec.PropagateDeps, "spec.propagateDeps", "name the dependencies in spec.resourceSelectors")
	warn(spec.Association, "spec.association", "name the dependencies in spec.resourceSelectors")
	warn(len(spec.DependentOverrides) > 0, "spec.dependentOverrides", "create the override policies before this policy")
	warn(spec.Failover != nil, "spec.failover", "a workload stays in the clusters it was placed in; edit spec.placement to move it")
	p := spec.Placement
	for i, c := range p.SpreadConstraints {
		warn(c.SpreadByLabel != "" || c.SpreadByField != policyv1alpha1.SpreadByFieldCluster, fmt.Sprintf("spec.placement.spreadConstraints[%d]", i),
			"bindings of this policy are not scheduled; spread by the field cluster")
	}
	for i, term := range p.ClusterAffinities {
		warn(len(term.OverflowAffinities) > 0, fmt.Sprintf("spec.placement.clusterAffinities[%d].overflowAffinities", i), "bindings of this policy are not scheduled; add further clusterAffinities")
	}
	warn(p.WorkloadAffinity != nil, "spec.placement.workloadAffinity", "bindings of this policy are not scheduled; name the clusters in spec.placement.clusterAffinity")
	if r := p.ReplicaScheduling; r != nil {
		warn(r.ReplicaDivisionPreference == policyv1alpha1.ReplicaDivisionPreferenceAggregated, "spec.placement.replicaScheduling.replicaDivisionPreference Aggregated", "bindings of this policy are not scheduled; use Weighted with static weights")
		warn(r.WeightPreference != nil && r.WeightPreference.DynamicWeight != "", "spec.placement.replicaScheduling.weightPreference.dynamicWeight", "bindings of this policy are not scheduled; use staticWeightList")
	}
	return out
}
