package heartbeat

import (
	"maps"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Observed is what the agent knows of its cluster. Fields that are empty are not known and leave the
// status as it is.
type Observed struct {
	Version         string
	Enablements     []clusterv1alpha1.APIEnablement
	NodeSummary     *clusterv1alpha1.NodeSummary
	ResourceSummary *clusterv1alpha1.ResourceSummary
	// Conditions by type. Status "" withdraws the condition.
	Conditions map[string]metav1.Condition
}

// Merge returns old with what was observed, and whether that differs from old.
func Merge(old clusterv1alpha1.ClusterStatus, seen Observed) (clusterv1alpha1.ClusterStatus, bool) {
	out := *old.DeepCopy()
	if seen.Version != "" {
		out.KubernetesVersion = seen.Version
	}
	if seen.Enablements != nil {
		out.APIEnablements = seen.Enablements
	}
	if seen.NodeSummary != nil {
		out.NodeSummary = seen.NodeSummary
	}
	if seen.ResourceSummary != nil {
		summary := seen.ResourceSummary.DeepCopy()
		if old.ResourceSummary != nil {
			summary.AllocatableModelings = old.ResourceSummary.AllocatableModelings
		}
		out.ResourceSummary = summary
	}
	for _, kind := range slices.Sorted(maps.Keys(seen.Conditions)) {
		if condition := seen.Conditions[kind]; condition.Status == "" {
			meta.RemoveStatusCondition(&out.Conditions, kind)
		} else {
			condition.Type = kind
			meta.SetStatusCondition(&out.Conditions, condition)
		}
	}
	return out, !apiequality.Semantic.DeepEqual(old, out)
}

// Reasons of the condition CompleteAPIEnablements.
const (
	ReasonComplete   = "Full"
	ReasonIncomplete = "Partial"
)

// Complete is the condition CompleteAPIEnablements.
func Complete(complete bool, stale []string) metav1.Condition {
	if complete {
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: ReasonComplete, Message: "Everything the cluster serves is listed"}
	}
	return metav1.Condition{
		Status: metav1.ConditionFalse,
		Reason: ReasonIncomplete,
		Message: "The cluster could not tell what it serves in " + strings.Join(stale, ", ") +
			"; look at its APIServices: kubectl get apiservices",
	}
}
