package controlplane

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent"
	"github.com/flotilla-io/flotilla/pkg/cluster"
)

// HostedAgents makes the agents of Push clusters. They talk to the federation as
// any other agent does: under the identity of their cluster, which may see
// nothing but its own. federation has to be allowed to impersonate. stateDir
// holds a directory for each, see stateOf; empty, they keep nothing between runs.
func HostedAgents(federation *rest.Config, stateDir string) cluster.HostedFactory {
	return func(c *clusterv1alpha1.Cluster, member *rest.Config) (cluster.Hosted, error) {
		up := rest.CopyConfig(federation)
		up.Impersonate = rest.ImpersonationConfig{
			UserName: names.AgentUserPrefix + c.Name,
			Groups:   []string{names.AgentGroup},
		}
		state, err := stateOf(stateDir, c)
		if err != nil {
			// The agent works without, too.
			klog.Background().Error(err, "A hosted agent keeps nothing between runs", "cluster", c.Name)
			state = ""
		}
		return agent.New(agent.Options{
			ClusterName: c.Name,
			Federation:  up,
			Member:      member,
			StateDir:    state,
			SyncMode:    clusterv1alpha1.Push,
			// What is proven from here would be proven about the network of the
			// control plane, not about that of the member.
			NoMesh: true,
		})
	}
}

// stateOf prepares what the agent of a Cluster remembers in: a directory for the
// name, and in it one for this very Cluster. Another member may join under a name
// that is free again, and is not to be taken for the former one. What is kept of
// former ones, Secrets among it, is removed.
func stateOf(stateDir string, c *clusterv1alpha1.Cluster) (string, error) {
	if stateDir == "" {
		return "", nil
	}
	parent := filepath.Join(stateDir, c.Name)
	state := filepath.Join(parent, string(c.UID))
	if c.UID == "" || filepath.Dir(state) != parent {
		return "", fmt.Errorf("cluster %s: UID %q names no directory", c.Name, c.UID)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return "", fmt.Errorf("state directory of cluster %s: %w", c.Name, err)
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", fmt.Errorf("state directory of cluster %s: %w", c.Name, err)
	}
	for _, entry := range entries {
		if entry.Name() == string(c.UID) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(parent, entry.Name())); err != nil {
			return "", fmt.Errorf("state directory of cluster %s: remove what a former one left: %w", c.Name, err)
		}
	}
	return state, nil
}
