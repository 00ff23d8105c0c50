package faults

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestAClusterThatLeavesKeepsItsWorkloads(t *testing.T) {
	s := begin(t, "leave")
	copies := lab.Policy{Name: "copies", Selectors: []string{lab.DeploymentNamed("each")}, Clusters: all}
	spread := lab.Policy{Name: "spread", Selectors: []string{lab.DeploymentNamed("web")}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, copies.String()+spread.String()+lab.Deployment("each", 1)+lab.Deployment("web", 6))
	replicas(s, lab.Fed, "each", "3")
	replicas(s, lab.Fed, "web", "6")
	before := identities(s, "us", "deployments,pods")
	deleted := s.Deletions("us", "deployments", "pods")

	s.Run(lab.Fed, "delete", "cluster", "us", "--timeout=40s")
	s.Gone(lab.Fed, "namespace", "karmada-es-us")
	// The others take over what it had.
	clustersOf(s, "each-deployment", "ap:1 eu:1")
	clustersOf(s, "web-deployment", "ap:3 eu:3")
	replicas(s, lab.Fed, "web", "6")
	replicas(s, lab.Fed, "each", "2")
	require.Equal(t, before, identities(s, "us", "deployments,pods"))

	// An agent that starts joins its cluster. What it had belongs to nobody then,
	// or to its works again; it is not for an empty list to delete.
	s.Crash("agent-us")
	s.Shows(lab.Fed, "True", ready("us")...)
	clustersOf(s, "each-deployment", "ap:1 eu:1 us:1")
	replicas(s, "us", "each", "1")
	replicas(s, lab.Fed, "each", "3")
	condition(s, "each-deployment", "FullyApplied", "True", "")
	s.Run(lab.Fed, "annotate", "deployment", "each", "seen=again")
	s.Shows("us", "again", "get", "deployment", "each", "--output=jsonpath={.metadata.annotations.seen}")
	require.Equal(t, before, identities(s, "us", "deployments,pods"))
	require.Empty(t, deleted())
}
