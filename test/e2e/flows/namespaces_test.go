package flows

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const skipLabel = "namespace.karmada.io/skip-auto-propagation"

func TestNamespacesAreInEveryMemberUnlessSkipped(t *testing.T) {
	s := begin(t, "everywhere")
	s.Apply(lab.Fed, "apiVersion: v1\nkind: Namespace\nmetadata: {name: nowhere, labels: {"+skipLabel+": 'true'}}\n")
	t.Cleanup(func() { s.Run(lab.Fed, "delete", "namespace", "nowhere", "--wait=false") })
	for _, m := range all {
		s.Shows(m, "namespace/everywhere", "get", "namespace", "everywhere", "--ignore-not-found", "--output=name")
	}
	// It was made before the other one was seen in each member.
	for _, m := range all {
		require.Empty(t, s.Run(m, "get", "namespace", "nowhere", "--ignore-not-found"))
	}
	s.Run(lab.Fed, "label", "namespace", "nowhere", skipLabel+"-")
	for _, m := range all {
		s.Shows(m, "namespace/nowhere", "get", "namespace", "nowhere", "--ignore-not-found", "--output=name")
	}
}

func TestSkippingLaterLeavesWhatIsThere(t *testing.T) {
	s := begin(t, "skipped-later")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"eu"}}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1))
	replicas(s, "eu", "web", "1")
	s.Apply("eu", lab.ConfigMap("own", "made", "in eu"))
	look := func() string {
		return s.Run("eu", "get", "namespace/skipped-later", "deployment/web", "configmap/own", "--output=jsonpath={.items[*].metadata.uid}")
	}
	before := look()

	s.Run(lab.Fed, "label", "namespace", "skipped-later", skipLabel+"=true")
	// Another change that goes the same way tells that this one has arrived.
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=2")
	replicas(s, "eu", "web", "2")
	require.Equal(t, "Active", s.Run("eu", "get", "namespace", "skipped-later", "--output=jsonpath={.status.phase}"))
	require.Equal(t, before, look())
}

func TestDeletingANamespaceEmptiesAndRemovesItEverywhere(t *testing.T) {
	s := begin(t, "removed")
	policy := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments, lab.AllConfigMaps}, Clusters: all}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1)+lab.ConfigMap("conf", "a", "b"))
	replicas(s, lab.Fed, "web", "3")
	s.Run(lab.Fed, "delete", "namespace", "removed", "--wait=false")
	s.Gone(lab.Fed, "namespace", "removed")
	for _, m := range all {
		s.Gone(m, "namespace", "removed")
	}
}

func TestReservedNamespacesStayAtHome(t *testing.T) {
	s := shared.Session(t)
	t.Parallel()
	for _, m := range all {
		out := s.Run(m, "get", "namespaces", "--output=name")
		require.NotContains(t, out, "karmada-")
		require.NotContains(t, s.Run(m, "get", "namespace", "kube-system", "kube-public", "--output=yaml"), "karmada.io/managed")
	}
}
