package plugins

import (
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// APIEnablement keeps templates off clusters that do not serve their kind, a
// custom resource without its definition for one. A cluster that holds the
// template already is believed to serve it as long as its list of kinds is
// incomplete.
type APIEnablement struct{}

// Name implements framework.Filter.
func (APIEnablement) Name() string { return "APIEnablement" }

// Check implements framework.Filter.
func (APIEnablement) Check(request *framework.Request, cluster *snapshot.Cluster) (string, error) {
	if cluster.Serves(request.Kind) {
		return "", nil
	}
	if !cluster.EnablementsComplete && request.Holds(cluster.Name()) {
		return "", nil
	}
	kind := request.Kind.GroupVersion().String() + " " + request.Kind.Kind
	if !cluster.EnablementsComplete {
		return "does not list " + kind + " among the kinds it serves, and its list is incomplete", nil
	}
	return "does not serve " + kind, nil
}
