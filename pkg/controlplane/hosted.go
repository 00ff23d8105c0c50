package controlplane

import (
	"path/filepath"

	"k8s.io/client-go/rest"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent"
	"github.com/flotilla-io/flotilla/pkg/cluster"
)

// HostedAgents makes the agents of Push clusters. They talk to the federation as
// any other agent does: under the identity of their cluster, which may see
// nothing but its own. federation has to be allowed to impersonate. stateDir
// holds a directory for each; empty, they keep nothing between runs.
func HostedAgents(federation *rest.Config, stateDir string) cluster.HostedFactory {
	return func(c *clusterv1alpha1.Cluster, member *rest.Config) (cluster.Hosted, error) {
		up := rest.CopyConfig(federation)
		up.Impersonate = rest.ImpersonationConfig{
			UserName: names.AgentUserPrefix + c.Name,
			Groups:   []string{names.AgentGroup},
		}
		state := ""
		if stateDir != "" {
			state = filepath.Join(stateDir, c.Name)
		}
		return agent.New(agent.Options{
			ClusterName: c.Name,
			Federation:  up,
			Member:      member,
			StateDir:    state,
			SyncMode:    clusterv1alpha1.Push,
		})
	}
}
