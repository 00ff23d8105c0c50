package framework

import (
	"fmt"

	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// Filter is one thing that a cluster has to pass.
type Filter interface {
	// Name is the plugin's name in explanations.
	Name() string
	// Check returns why the cluster does not fit, in words that follow "<cluster>:",
	// or "" if nothing speaks against it. An error means that the request itself
	// makes no sense, whatever the cluster: a selector that does not parse.
	Check(request *Request, cluster *snapshot.Cluster) (reason string, err error)
}

// Rejection says which filter kept a cluster out, and why.
type Rejection struct {
	Cluster string
	Plugin  string
	Reason  string
}

// Run puts every cluster of the snapshot through the filters, in their order.
// Both results are ordered by name, and each cluster is in one of them.
func Run(filters []Filter, request *Request, snap *snapshot.Snapshot) ([]*snapshot.Cluster, []Rejection, error) {
	fit := make([]*snapshot.Cluster, 0, snap.Len())
	var rejections []Rejection
clusters:
	for _, cluster := range snap.Clusters() {
		for _, filter := range filters {
			reason, err := filter.Check(request, cluster)
			if err != nil {
				return nil, nil, fmt.Errorf("%s for cluster %s: %w", filter.Name(), cluster.Name(), err)
			}
			if reason != "" {
				rejections = append(rejections, Rejection{Cluster: cluster.Name(), Plugin: filter.Name(), Reason: reason})
				continue clusters
			}
		}
		fit = append(fit, cluster)
	}
	return fit, rejections, nil
}
