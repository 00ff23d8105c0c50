package plugins

import (
	"fmt"
	"slices"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/placement"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// ClusterAffinity lets a cluster pass that the placement selects by name, by
// label or by field, and does not exclude.
type ClusterAffinity struct{}

// Name implements framework.Filter.
func (ClusterAffinity) Name() string { return "ClusterAffinity" }

// Check implements framework.Filter.
func (ClusterAffinity) Check(request *framework.Request, cluster *snapshot.Cluster) (string, error) {
	affinity, field := request.Affinity, request.AffinityField
	if affinity == nil {
		return "", nil
	}
	matches, err := placement.Matches(cluster.Object, affinity)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	if matches {
		return "", nil
	}
	// The rest only finds out which part said no.
	switch {
	case slices.Contains(affinity.ExcludeClusters, cluster.Name()):
		return "excluded by " + field + ".exclude", nil
	case len(affinity.ClusterNames) > 0 && !slices.Contains(affinity.ClusterNames, cluster.Name()):
		return "not named in " + field + ".clusterNames", nil
	}
	byLabel, err := placement.Matches(cluster.Object, &policyv1alpha1.ClusterAffinity{LabelSelector: affinity.LabelSelector})
	if err != nil {
		return "", fmt.Errorf("%s.labelSelector: %w", field, err)
	}
	if !byLabel {
		return "labels do not match " + field + ".labelSelector", nil
	}
	return "provider, region or zone do not match " + field + ".fieldSelector", nil
}
