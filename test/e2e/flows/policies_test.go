package flows

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// claimed waits until a Deployment belongs to a policy of its namespace; to none if the name is empty.
func claimed(s *lab.Session, deployment, policy string) {
	s.Helper()
	s.Shows(lab.Fed, policy, "get", "deployment", deployment,
		`--output=jsonpath={.metadata.annotations.propagationpolicy\.karmada\.io/name}`)
}

// only waits until a Deployment is in one member and in no other.
func only(s *lab.Session, member, deployment string) {
	s.Helper()
	for _, m := range all {
		if m != member {
			s.Gone(m, "deployment", deployment)
		}
	}
	replicas(s, member, deployment, "1")
}

func TestTwoPoliciesTheBetterOneWinsAndTheOtherTakesOver(t *testing.T) {
	s := begin(t, "two-policies")
	byKind := lab.Policy{Name: "a-kind", Selectors: []string{lab.AllDeployments}, Clusters: []string{"ap"}}
	byLabel := lab.Policy{
		Name:      "b-label",
		Selectors: []string{"{apiVersion: apps/v1, kind: Deployment, labelSelector: {matchLabels: {app: web}}}"}, Clusters: []string{"eu"},
	}
	byName := lab.Policy{Name: "c-name", Selectors: []string{lab.DeploymentNamed("web")}, Clusters: []string{"us"}}
	later := lab.Policy{Name: "d-name", Selectors: []string{lab.DeploymentNamed("web")}, Clusters: []string{"ap"}}
	s.Apply(lab.Fed, byKind.String()+byLabel.String()+later.String()+byName.String())
	s.Apply(lab.Fed, lab.Deployment("web", 1))

	for _, step := range []struct{ winner, member, reason string }{
		{"c-name", "us", "a selector by name comes first; of two, the smaller policy name"},
		{"d-name", "ap", "the other one by name"},
		{"b-label", "eu", "then the one by label"},
		{"a-kind", "ap", "then the bare kind"},
	} {
		t.Log(step.reason)
		claimed(s, "web", step.winner)
		only(s, step.member, "web")
		s.Run(lab.Fed, "delete", "propagationpolicy", step.winner)
	}
	// Nobody is left to take over: what was placed stays.
	claimed(s, "web", "")
	only(s, "ap", "web")
}

func TestPriorityBeatsEverythingButAClaim(t *testing.T) {
	s := begin(t, "priority")
	low := lab.Policy{Name: "low", Selectors: []string{lab.DeploymentNamed("web")}, Clusters: []string{"eu"}}
	high := lab.Policy{Name: "high", Selectors: []string{lab.AllDeployments}, Clusters: []string{"us"}, Spec: []string{"priority: 7"}}
	s.Apply(lab.Fed, low.String()+lab.Deployment("web", 1))
	claimed(s, "web", "low")
	s.Apply(lab.Fed, high.String())
	s.Apply(lab.Fed, lab.Deployment("late", 1))
	claimed(s, "late", "high")
	only(s, "us", "late")
	claimed(s, "web", "low")
	only(s, "eu", "web")

	high.Spec = append(high.Spec, "preemption: Always")
	s.Apply(lab.Fed, high.String())
	claimed(s, "web", "high")
	only(s, "us", "web")
}

func TestPolicyOfTheNamespaceBeatsOneForAll(t *testing.T) {
	s := begin(t, "scopes")
	everywhere := lab.Policy{
		Name: "e2e-scopes", Cluster: true, Clusters: []string{"eu"},
		Selectors: []string{"{apiVersion: apps/v1, kind: Deployment, namespace: scopes, name: web}"},
	}
	here := lab.Policy{Name: "here", Selectors: []string{lab.AllDeployments}, Clusters: []string{"ap"}}
	s.Apply(lab.Fed, everywhere.String()+here.String()+lab.Deployment("web", 1))
	t.Cleanup(func() { s.Run(lab.Fed, "delete", "clusterpropagationpolicy", "e2e-scopes") })
	claimed(s, "web", "here")
	only(s, "ap", "web")

	s.Run(lab.Fed, "delete", "propagationpolicy", "here")
	s.Shows(lab.Fed, "e2e-scopes", "get", "deployment", "web",
		`--output=jsonpath={.metadata.annotations.clusterpropagationpolicy\.karmada\.io/name}`)
	only(s, "eu", "web")
}

func TestATemplateThatIsNoLongerSelectedIsReleasedAndStays(t *testing.T) {
	s := begin(t, "released")
	policy := lab.Policy{
		Name: "web", Clusters: []string{"eu"},
		Selectors: []string{"{apiVersion: apps/v1, kind: Deployment, labelSelector: {matchLabels: {app: web}}}"},
	}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1))
	replicas(s, "eu", "web", "1")
	uid := s.Run("eu", "get", "deployment", "web", "--output=jsonpath={.metadata.uid}")
	s.Run(lab.Fed, "label", "deployment", "web", "app=other", "--overwrite")
	claimed(s, "web", "")
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=2")
	replicas(s, "eu", "web", "2")
	require.Equal(t, uid, s.Run("eu", "get", "deployment", "web", "--output=jsonpath={.metadata.uid}"))
}
