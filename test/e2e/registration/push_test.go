package registration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestPushMembersJoinAndLeave(t *testing.T) {
	s := newSite(t, "ap", "seoul")
	member := "--member-kubeconfig=" + s.Kubeconfig("ap")
	out := s.fedctl("join", "seoul", member, "--cluster-region=asia")
	require.Contains(t, out, "Cluster seoul is Ready")
	s.propagate("push")
	uid := s.Run("ap", "get", "deployment", "web", workload)
	require.Contains(t, s.Run(lab.Fed, "get", "--raw", "/apis/cluster.karmada.io/v1alpha1/clusters/seoul/proxy/api/v1/namespaces/push"), "push")

	t.Log("The federation has the rights of the chart, not all.")
	s.Apply(lab.Fed, "apiVersion: v1\nkind: LimitRange\nmetadata: {name: limits}\nspec: {limits: [{type: Pod}]}\n")
	admin := shared.Session(t)
	admin.Mentions(lab.Fed, []string{"the agent may not", "limitranges in cluster seoul"}, "get", "works", "--namespace=karmada-es-seoul", "--output=json")

	require.Contains(t, s.fedctlRefuses("unregister", "seoul"), "fedctl unjoin seoul")
	out = s.fedctl("unjoin", "seoul", member)
	require.Contains(t, out, "Workloads in the member stay")
	require.Equal(t, uid, s.Run("ap", "get", "deployment", "web", workload))
	admin.Gone("ap", "clusterrole", "flotilla-seoul")
	admin.Gone(lab.Fed, "secret", "seoul", "--namespace=karmada-cluster")

	t.Log("It can come back, and is then taken out with everything.")
	s.fedctl("join", "seoul", member)
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=2")
	s.Shows("ap", "2", "get", "deployment", "web", "--output=jsonpath={.spec.replicas}")
	require.Equal(t, uid, s.Run("ap", "get", "deployment", "web", workload))
	s.fedctl("unjoin", "seoul", member, "--delete-workloads", "--yes")
	admin.Gone("ap", "namespace", "push")
}
