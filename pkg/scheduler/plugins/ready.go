package plugins

import (
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// ClusterReady keeps templates off clusters that are not ready or are being
// removed. Being removed counts for holders, too.
type ClusterReady struct{}

// Name implements framework.Filter.
func (ClusterReady) Name() string { return "ClusterReady" }

// Check implements framework.Filter.
func (ClusterReady) Check(request *framework.Request, cluster *snapshot.Cluster) (string, error) {
	if cluster.Deleting {
		return "being removed from the federation", nil
	}
	if cluster.Ready || request.Holds(cluster.Name()) {
		return "", nil
	}
	condition := cluster.Condition()
	switch {
	case condition == nil:
		return "not ready: its agent has not reported yet", nil
	case condition.Reason == "":
		return "not ready", nil
	default:
		return "not ready (" + condition.Reason + ")", nil
	}
}
