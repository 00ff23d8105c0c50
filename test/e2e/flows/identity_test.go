package flows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestAnAgentSeesItsOwnAndChangesNothing(t *testing.T) {
	s := begin(t, "identity")
	policy := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments}, Clusters: all}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1))
	s.Run(lab.Fed, "create", "secret", "generic", "mine", "--from-literal=a=b")
	replicas(s, lab.Fed, "web", "3")

	agent := shared.Path("agents", "eu", "federation.kubeconfig")
	admin := shared.Session(t)
	require.Contains(t, admin.Run(agent, "get", "works", "--namespace=karmada-es-eu"), "web-")
	require.Contains(t, admin.Run(agent, "get", "cluster", "eu"), "True")

	for _, command := range []string{
		"get works --namespace=karmada-es-ap",
		"get works --all-namespaces",
		"get secrets --all-namespaces",
		"get secret mine --namespace=identity",
		"get secrets --namespace=karmada-cluster",
		"get secrets --namespace=karmada-es-ap",
		"get configmaps --namespace=kube-system",
		"get deployments --namespace=identity",
		"get resourcebindings --all-namespaces",
		"get clusters",
		"get cluster ap",
		"get lease ap --namespace=karmada-cluster",
		"get certificatesigningrequests",
		"create namespace intruder",
		"create configmap intruder --namespace=karmada-es-eu",
		"create clusterrolebinding intruder --clusterrole=cluster-admin --user=system:cluster:eu",
		"annotate cluster ap a=b",
		"annotate works --all a=b --namespace=karmada-es-eu",
		"delete works --all --namespace=karmada-es-eu",
		"delete work web --namespace=karmada-es-ap",
		"delete deployment web --namespace=identity",
		"delete cluster eu",
		"delete cluster ap",
		"delete namespace karmada-es-eu",
		"delete lease eu --namespace=karmada-cluster",
		"delete policy any --namespace=identity",
		"get nodes --as=system:admin --as-group=system:masters",
	} {
		said, err := admin.Try(agent, strings.Fields(command)...)
		require.Error(t, err, "%s: %s", command, said)
		if !strings.Contains(err.Error(), "doesn't have a resource type") {
			require.Contains(t, err.Error(), "orbidden", command)
		}
	}
	require.Equal(t, "deployment.apps/web", strings.TrimSpace(s.Run(lab.Fed, "get", "deployments", "--output=name")))
}

func TestNobodyWithoutACertificateReadsAnything(t *testing.T) {
	t.Parallel()
	s := shared.Session(t)
	for _, where := range []string{lab.Fed, "eu"} {
		config, err := os.ReadFile(s.Kubeconfig(where))
		require.NoError(t, err)
		stranger := filepath.Join(t.TempDir(), "kubeconfig")
		require.NoError(t, os.WriteFile(stranger, config, 0o600))
		user := s.Run(stranger, "config", "view", "--output=jsonpath={.users[0].name}")
		s.Run(stranger, "config", "unset", "users."+user)
		require.Contains(t, s.Refused(stranger, "--token=guess", "get", "secrets", "--all-namespaces"), "Unauthorized")
	}
}
