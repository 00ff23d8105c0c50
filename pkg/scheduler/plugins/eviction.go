package plugins

import (
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// ClusterEviction keeps a template from going back to a cluster that it is being
// moved away from (spec.gracefulEvictionTasks).
type ClusterEviction struct{}

// Name implements framework.Filter.
func (ClusterEviction) Name() string { return "ClusterEviction" }

// Check implements framework.Filter.
func (ClusterEviction) Check(request *framework.Request, cluster *snapshot.Cluster) (string, error) {
	reason, evicted := request.Evicted(cluster.Name())
	switch {
	case !evicted:
		return "", nil
	case reason == "":
		return "being evicted from it", nil
	default:
		return "being evicted from it (" + reason + ")", nil
	}
}
