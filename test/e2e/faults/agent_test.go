package faults

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestAnAgentKilledInARolloutFinishesIt(t *testing.T) {
	const count = 20
	s := begin(t, "agent-dies")
	policy := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments, lab.AllConfigMaps}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 12))
	replicas(s, lab.Fed, "web", "12")

	// Killed while it creates.
	var manifests strings.Builder
	for i := range count {
		manifests.WriteString(lab.ConfigMap(fmt.Sprintf("conf-%02d", i), "v", "1"))
	}
	s.Apply(lab.Fed, manifests.String())
	s.Crash("agent-eu")
	configMaps := func() (string, bool) {
		out := s.Run("eu", "get", "configmaps", "--selector=app", "--output=name")
		return out, strings.Count(out, "\n") == count
	}
	s.Eventually("all ConfigMaps are in eu", configMaps)
	before := identities(s, "eu", "deployments,configmaps")

	// Killed while it updates, again and again.
	for version := 2; version <= 4; version++ {
		s.Run(lab.Fed, "set", "image", "deployment/web", fmt.Sprintf("main=registry.example.com/web:%d", version))
		s.Crash("agent-eu")
	}
	s.Run(lab.Fed, "rollout", "status", "deployment/web", "--timeout=40s")
	for _, m := range all {
		s.Shows(m, "registry.example.com/web:4 4 4", "get", "deployment", "web",
			"--output=jsonpath={.spec.template.spec.containers[0].image} {.status.updatedReplicas} {.status.readyReplicas}")
	}
	require.Equal(t, before, identities(s, "eu", "deployments,configmaps"))

	// Killed while it deletes: the unwanted third goes, and only that. More than
	// half would be held until a person confirms, see package restore.
	var doomed []string
	for i := 0; i < count; i += 3 {
		doomed = append(doomed, fmt.Sprintf("conf-%02d", i))
		delete(before, "ConfigMap/"+doomed[len(doomed)-1])
	}
	s.Run(lab.Fed, append([]string{"delete", "configmap", "--wait=false"}, doomed...)...)
	s.Crash("agent-eu")
	s.Eventually("a third of the ConfigMaps is gone from eu", func() (string, bool) {
		out := s.Run("eu", "get", "configmaps", "--selector=app", "--output=name")
		return out + s.Run(lab.Fed, "describe", "cluster", "eu"), strings.Count(out, "\n") == count-len(doomed)
	})
	require.Equal(t, before, identities(s, "eu", "deployments,configmaps"))
}

func TestAnAgentRepairsDriftWithoutTheFederation(t *testing.T) {
	s := begin(t, "alone")
	policy := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 6))
	replicas(s, lab.Fed, "web", "6")

	thaw := s.Freeze("apiserver")
	s.Run("ap", "scale", "deployment/web", "--replicas=0")
	replicas(s, "ap", "web", "2")
	// Across its own restart, too.
	s.Crash("agent-ap")
	s.Run("ap", "delete", "deployment", "web")
	replicas(s, "ap", "web", "2")
	thaw()
	replicas(s, lab.Fed, "web", "6")
	for _, m := range all {
		s.Shows(lab.Fed, "True", ready(m)...)
	}
}
