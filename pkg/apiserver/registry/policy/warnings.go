package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// told collects warnings.
type told []string

// notActedOn warns of a field that is stored but has no effect in this version.
func (t *told) notActedOn(set bool, path *field.Path, instead string) {
	if set {
		*t = append(*t, fmt.Sprintf("%s is stored but has no effect in this version: %s", path, instead))
	}
}

// inVain warns of a value that means nothing where it stands, or not what it
// seems to. It is not refused, because manifests that were written for the API
// elsewhere are to be taken as they are.
func (t *told) inVain(set bool, path *field.Path, why string) {
	if set {
		*t = append(*t, fmt.Sprintf("%s: %s", path, why))
	}
}

// warnPropagation tells what of a propagation policy is not acted on, so that
// nobody relies on it without knowing. The namespace is the policy's own, empty for
// a cluster-scoped one.
func warnPropagation(spec *policyv1alpha1.PropagationSpec, namespace string) []string {
	var t told
	path := field.NewPath("spec")
	t.selectors(spec.ResourceSelectors, namespace, path.Child("resourceSelectors"))
	t.notActedOn(spec.PropagateDeps, path.Child("propagateDeps"), "name the dependencies in spec.resourceSelectors")
	t.notActedOn(spec.Association, path.Child("association"), "name the dependencies in spec.resourceSelectors")
	t.notActedOn(len(spec.DependentOverrides) > 0, path.Child("dependentOverrides"), "create the override policies before this policy")
	t.notActedOn(spec.Failover != nil, path.Child("failover"), "a workload stays in the clusters it was placed in; edit spec.placement to move it")
	t.notActedOn(spec.SchedulePriority != nil, path.Child("schedulePriority"), "bindings are scheduled in the order in which they come")
	if s := spec.Suspension; s != nil && s.DispatchingOnClusters != nil {
		names := path.Child("suspension", "dispatchingOnClusters", "clusterNames")
		t.inVain(len(s.DispatchingOnClusters.ClusterNames) == 0, names, "it is empty, so it suspends no cluster")
		t.names(s.DispatchingOnClusters.ClusterNames, names)
	}
	t.placement(&spec.Placement, path.Child("placement"))
	return t
}

func (t *told) placement(p *policyv1alpha1.Placement, path *field.Path) {
	const unscheduled = "bindings of this policy are not scheduled; "
	t.affinity(p.ClusterAffinity, path.Child("clusterAffinity"))
	for i := range p.ClusterAffinities {
		term, at := &p.ClusterAffinities[i], path.Child("clusterAffinities").Index(i)
		t.affinity(&term.ClusterAffinity, at)
		t.notActedOn(len(term.OverflowAffinities) > 0, at.Child("overflowAffinities"), unscheduled+"add further clusterAffinities")
	}
	t.tolerations(p.ClusterTolerations, path.Child("clusterTolerations"))
	for i, c := range p.SpreadConstraints {
		t.notActedOn(c.SpreadByLabel != "" || c.SpreadByField != policyv1alpha1.SpreadByFieldCluster,
			path.Child("spreadConstraints").Index(i), unscheduled+"spread by the field cluster")
	}
	t.notActedOn(p.WorkloadAffinity != nil, path.Child("workloadAffinity"), unscheduled+"name the clusters in spec.placement.clusterAffinity")
	if p.ReplicaScheduling != nil {
		t.replicas(p.ReplicaScheduling, path.Child("replicaScheduling"), unscheduled)
	}
}

func (t *told) replicas(r *policyv1alpha1.ReplicaSchedulingStrategy, path *field.Path, unscheduled string) {
	aggregated := r.ReplicaDivisionPreference == policyv1alpha1.ReplicaDivisionPreferenceAggregated
	weights, at := r.WeightPreference, path.Child("weightPreference")
	switch {
	case r.ReplicaSchedulingType == policyv1alpha1.ReplicaSchedulingTypeDuplicated:
		t.inVain(weights != nil, at, "replicaSchedulingType Duplicated gives every cluster the full count, whatever its weight")
		return
	case aggregated:
		t.notActedOn(true, path.Child("replicaDivisionPreference"), unscheduled+"Aggregated needs to know the room in clusters; use Weighted with static weights")
		t.inVain(weights != nil, at, "replicaDivisionPreference Aggregated looks at no weights")
		return
	case weights == nil:
		return
	}
	t.notActedOn(weights.DynamicWeight != "", at.Child("dynamicWeight"), unscheduled+"use staticWeightList")
	t.inVain(weights.DynamicWeight != "" && len(weights.StaticWeightList) > 0, at.Child("staticWeightList"), "dynamicWeight is set, too, and goes before it")
	for i := range weights.StaticWeightList {
		t.affinity(&weights.StaticWeightList[i].TargetCluster, at.Child("staticWeightList").Index(i).Child("targetCluster"))
	}
}
