package push

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestTheProxyReachesAMemberAsTheCaller(t *testing.T) {
	s := shared.Session(t)
	const nodes = "/apis/cluster.karmada.io/v1alpha1/clusters/eu/proxy/api/v1/nodes"
	require.Contains(t, s.Run(lab.Fed, "get", "--raw", nodes), `"name":"eu-node-1"`)

	// Who may use the proxy is the federation's to say, what they may do the member's.
	jane := []string{"get", "--raw", nodes, "--as=jane"}
	require.Contains(t, s.Refused(lab.Fed, jane...), `User "jane" cannot get resource "clusters/proxy"`)
	s.Run(lab.Fed, "create", "clusterrole", "e2e-proxy", "--verb=get", "--resource=clusters.cluster.karmada.io/proxy")
	s.Run(lab.Fed, "create", "clusterrolebinding", "e2e-proxy", "--clusterrole=e2e-proxy", "--user=jane")
	t.Cleanup(func() { s.Run(lab.Fed, "delete", "clusterrole/e2e-proxy", "clusterrolebinding/e2e-proxy") })
	s.Eventually("the member refuses jane", func() (string, bool) {
		said := s.Refused(lab.Fed, jane...)
		return said, strings.Contains(said, `User "jane" cannot list resource "nodes"`)
	})
	s.Run("eu", "create", "clusterrole", "e2e-nodes", "--verb=list", "--resource=nodes")
	s.Run("eu", "create", "clusterrolebinding", "e2e-nodes", "--clusterrole=e2e-nodes", "--user=jane")
	t.Cleanup(func() { s.Run("eu", "delete", "clusterrole/e2e-nodes", "clusterrolebinding/e2e-nodes") })
	s.Mentions(lab.Fed, []string{`"name":"eu-node-1"`}, jane...)

	require.Contains(t, s.Refused(lab.Fed, "get", "--raw", "/apis/cluster.karmada.io/v1alpha1/clusters/mars/proxy/version"), `"mars" not found`)
}
