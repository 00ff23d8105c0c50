package scheduler

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// affected reports whether a change of the cluster may change what is decided,
// or said, about the binding. It only saves work: asking once too often writes
// nothing.
func affected(b workv1alpha2.Binding, schedulerName, cluster string) bool {
	if !responsible(b, schedulerName) {
		return false
	}
	spec := b.GetSpec()
	if released(b) {
		return holds(spec, cluster)
	}
	return !scheduled(b) || follows(spec) || holds(spec, cluster) || namesCluster(spec, cluster)
}

func holds(spec *workv1alpha2.ResourceBindingSpec, cluster string) bool {
	return slices.ContainsFunc(spec.Clusters, func(c workv1alpha2.TargetCluster) bool { return c.Name == cluster })
}

// namesCluster reports whether the placement names the cluster: the condition
// says so while there is no such cluster.
func namesCluster(spec *workv1alpha2.ResourceBindingSpec, cluster string) bool {
	for _, group := range affinityGroups(spec.Placement, "") {
		if group.affinity != nil && slices.Contains(group.affinity.ClusterNames, cluster) {
			return true
		}
	}
	if s := spec.Placement.ReplicaScheduling; s != nil && s.WeightPreference != nil {
		for i := range s.WeightPreference.StaticWeightList {
			if slices.Contains(s.WeightPreference.StaticWeightList[i].TargetCluster.ClusterNames, cluster) {
				return true
			}
		}
	}
	return false
}

// worthALook reports whether an update of a binding may call for a decision. What
// members report about it, which is most updates, does not.
func worthALook(was, is workv1alpha2.Binding) bool {
	return was.GetUID() != is.GetUID() ||
		was.GetGeneration() != is.GetGeneration() ||
		released(was) != released(is) ||
		was.GetAnnotations()[names.AppliedPlacementAnnotation] != is.GetAnnotations()[names.AppliedPlacementAnnotation] ||
		!was.GetStatus().LastScheduledTime.Equal(is.GetStatus().LastScheduledTime) ||
		!equality.Semantic.DeepEqual(
			meta.FindStatusCondition(was.GetStatus().Conditions, workv1alpha2.Scheduled),
			meta.FindStatusCondition(is.GetStatus().Conditions, workv1alpha2.Scheduled))
}
