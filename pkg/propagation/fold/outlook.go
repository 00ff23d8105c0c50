package fold

import (
	"encoding/json"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// outlook is what may be expected of the clusters of a binding.
type outlook int

const (
	// open: anything, or nothing.
	open outlook = iota
	// starting: every cluster has applied, and those that are not healthy have not
	// even looked at what they were given. More is certain to come, and what is known
	// says nothing but that it was applied.
	starting
	// settled: nothing better. Every cluster has applied, and none is unhealthy.
	settled
)

func outlookOf(b workv1alpha2.Binding, pending reports) outlook {
	have := map[string]workv1alpha2.AggregatedStatusItem{}
	for _, item := range b.GetStatus().AggregatedStatus {
		have[item.ClusterName] = item
	}
	for cluster, item := range pending {
		have[cluster] = item
	}
	best := settled
	for _, cluster := range targetsOf(b.GetSpec()) {
		item, ok := have[cluster]
		switch {
		case !ok || !item.Applied:
			return open
		case item.Health != workv1alpha2.ResourceUnhealthy:
		case unseen(item):
			best = starting
		default:
			return open
		}
	}
	return best
}

// unseen tells that the cluster's own controller has not acted on the newest
// generation of the object. Kinds whose statuses do not have both numbers are
// never unseen.
func unseen(item workv1alpha2.AggregatedStatusItem) bool {
	if item.Status == nil {
		return false
	}
	var seen struct {
		Generation         int64 `json:"generation"`
		ObservedGeneration int64 `json:"observedGeneration"`
	}
	return json.Unmarshal(item.Status.Raw, &seen) == nil && seen.ObservedGeneration < seen.Generation
}

// reshared are the clusters that a binding had and has, with another share.
func reshared(before, after workv1alpha2.Binding) []string {
	if before == nil {
		return nil
	}
	had := map[string]int32{}
	for _, t := range before.GetSpec().Clusters {
		had[t.Name] = t.Replicas
	}
	var out []string
	for _, t := range after.GetSpec().Clusters {
		if replicas, ok := had[t.Name]; ok && replicas != t.Replicas {
			out = append(out, t.Name)
		}
	}
	return out
}
