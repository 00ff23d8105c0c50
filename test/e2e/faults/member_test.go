package faults

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestAMemberThatHangsIsReportedAndCatchesUp(t *testing.T) {
	s := begin(t, "member-hangs")
	spread := lab.Policy{Name: "spread", Selectors: []string{lab.DeploymentNamed("web"), lab.DeploymentNamed("late")}, Clusters: all, Weights: equal}
	copies := lab.Policy{Name: "copies", Selectors: []string{lab.DeploymentNamed("each"), lab.DeploymentNamed("doomed")}, Clusters: all}
	s.Apply(lab.Fed, spread.String()+copies.String()+lab.Deployment("web", 3)+lab.Deployment("doomed", 1))
	replicas(s, lab.Fed, "web", "3")
	replicas(s, lab.Fed, "doomed", "3")
	before := identities(s, "eu", "deployments")

	thaw := s.Freeze("member-eu", "agent-eu")
	// Nobody knows yet: what is placed there waits, and says for whom.
	s.Apply(lab.Fed, lab.Deployment("each", 1))
	clustersOf(s, "each-deployment", "ap:1 eu:1 us:1")
	condition(s, "each-deployment", "FullyApplied", "False", "eu")
	replicas(s, lab.Fed, "each", "2")

	s.Within(2*lab.Patience, "cluster eu counts as silent", func() (string, bool) {
		out := s.Run(lab.Fed, ready("eu")...)
		return out, out == "Unknown"
	})
	s.Mentions(lab.Fed, []string{"karmada-cluster/eu", "--cluster-name eu"}, "describe", "cluster", "eu")
	s.Shows(lab.Fed, "cluster.karmada.io/unreachable", "get", "cluster", "eu", "--output=jsonpath={.spec.taints[*].key}")

	// Now that it is known, nothing new goes there.
	s.Apply(lab.Fed, lab.Deployment("late", 4)+lab.Deployment("pinned", 1)+
		lab.Policy{Name: "pinned", Selectors: []string{lab.DeploymentNamed("pinned")}, Clusters: []string{"eu"}}.String())
	clustersOf(s, "late-deployment", "ap:2 us:2")
	replicas(s, lab.Fed, "late", "4")
	condition(s, "pinned-deployment", "Scheduled", "False", "cluster.karmada.io/unreachable")
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=6")
	clustersOf(s, "web-deployment", "ap:2 eu:2 us:2")
	replicas(s, "ap", "web", "2")
	s.Run(lab.Fed, "delete", "deployment", "doomed")
	s.Gone("ap", "deployment", "doomed")

	thaw()
	s.Shows(lab.Fed, "True", ready("eu")...)
	s.Shows(lab.Fed, "", "get", "cluster", "eu", "--output=jsonpath={.spec.taints[*].key}")
	replicas(s, "eu", "web", "2")
	replicas(s, "eu", "each", "1")
	replicas(s, "eu", "pinned", "1")
	s.Gone("eu", "deployment", "doomed")
	replicas(s, lab.Fed, "web", "6")
	replicas(s, lab.Fed, "each", "3")
	for _, binding := range []string{"web-deployment", "each-deployment", "pinned-deployment", "late-deployment"} {
		condition(s, binding, "FullyApplied", "True", "")
	}
	require.Equal(t, before["Deployment/web"], identities(s, "eu", "deployments")["Deployment/web"])
	clustersOf(s, "late-deployment", "ap:2 us:2")
}

func TestAMemberThatDiesComesBackWithWhatItHad(t *testing.T) {
	s := begin(t, "member-dies")
	policy := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments, lab.AllConfigMaps}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 6)+lab.Deployment("gone", 3)+lab.ConfigMap("conf", "v", "1"))
	replicas(s, lab.Fed, "web", "6")
	replicas(s, "us", "gone", "1")
	s.Shows("us", "1", "get", "configmap", "conf", "--output=jsonpath={.data.v}")
	before := everywhere(s, "deployments,configmaps")

	s.Crash("member-us")
	// It takes seconds to be back; what is asked for meanwhile must not be lost.
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=9")
	s.Run(lab.Fed, "delete", "deployment", "gone")
	s.Apply(lab.Fed, lab.ConfigMap("conf", "v", "2")+lab.ConfigMap("new", "v", "1"))

	replicas(s, "us", "web", "3")
	replicas(s, lab.Fed, "web", "9")
	s.Gone("us", "deployment", "gone")
	s.Shows("us", "2", "get", "configmap", "conf", "--output=jsonpath={.data.v}")
	s.Shows("us", "1", "get", "configmap", "new", "--output=jsonpath={.data.v}")
	after := everywhere(s, "deployments,configmaps")
	for _, m := range all {
		require.Equal(t, before[m]["Deployment/web"], after[m]["Deployment/web"], m)
		require.Equal(t, before[m]["ConfigMap/conf"], after[m]["ConfigMap/conf"], m)
	}
	for _, m := range all {
		s.Shows(lab.Fed, "True", ready(m)...)
	}
}
