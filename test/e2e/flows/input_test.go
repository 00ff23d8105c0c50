package flows

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestUnknownClusterIsToldAndTheOthersAreServed(t *testing.T) {
	s := begin(t, "unknown-cluster")
	policy := lab.Policy{
		Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"eu", "mars", "ap"},
		Weights: map[string]int{"eu": 1, "mars": 5, "ap": 1},
	}
	out := s.Apply(lab.Fed, lab.Deployment("web", 4)+policy.String())
	require.Contains(t, out, "Warning: ")
	require.Contains(t, out, "mars")

	s.Mentions(lab.Fed, []string{"mars: no such cluster", "True"}, "get", "resourcebinding", "web-deployment",
		`--output=jsonpath={.status.conditions[?(@.type=="Scheduled")].message} {.status.conditions[?(@.type=="Scheduled")].status}`)
	placed(s, "ap:2 eu:2", "web-deployment")
	replicas(s, lab.Fed, "web", "4")
}

func TestOnlyUnknownClustersWaitUntilCorrected(t *testing.T) {
	s := begin(t, "no-cluster")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"mars"}}
	s.Apply(lab.Fed, lab.Deployment("web", 1)+policy.String())
	s.Mentions(lab.Fed, []string{"Warning", "ScheduleBindingFailed", "default-scheduler", "mars: no such cluster"}, "describe", "deployment", "web")
	s.Mentions(lab.Fed, []string{`"reason":"NoClusterFit","status":"False"`}, "get", "resourcebinding", "web-deployment", "--output=jsonpath={.status.conditions}")

	policy.Clusters = []string{"us"}
	s.Apply(lab.Fed, policy.String())
	replicas(s, "us", "web", "1")
	s.Mentions(lab.Fed, []string{`"type":"Scheduled"`, `"status":"True"`}, "get", "resourcebinding", "web-deployment", "--output=jsonpath={.status.conditions}")
}

func TestBadPoliciesAreRefused(t *testing.T) {
	s := begin(t, "bad-policies")
	weights := func(weight string) string {
		good := lab.Policy{Name: "bad", Selectors: []string{lab.AllDeployments}, Clusters: []string{"eu"}, Weights: map[string]int{"eu": 1}}
		return strings.ReplaceAll(good.String(), "weight: 1", "weight: "+weight)
	}
	for name, c := range map[string]struct {
		policy string
		says   []string
	}{
		"no selectors": {
			policy: lab.Policy{Name: "bad", Clusters: []string{"eu"}}.String(),
			says:   []string{"spec.resourceSelectors: Required value"},
		},
		"an empty selector": {
			policy: lab.Policy{Name: "bad", Selectors: []string{"{}"}, Clusters: []string{"eu"}}.String(),
			says:   []string{"spec.resourceSelectors[0].apiVersion: Required value", "spec.resourceSelectors[0].kind: Required value"},
		},
		"no selectors, cluster-scoped": {
			policy: lab.Policy{Name: "bad", Cluster: true, Clusters: []string{"eu"}}.String(),
			says:   []string{"spec.resourceSelectors: Required value"},
		},
		"a negative weight": {
			policy: weights("-1"),
			says:   []string{"spec.placement.replicaScheduling.weightPreference.staticWeightList[0].weight: Invalid value: -1: must be at least 1"},
		},
		"half a weight": {
			policy: weights("0.5"),
			says:   []string{"spec.placement.replicaScheduling.weightPreference.staticWeightList.weight", "0.5"},
		},
		"a field that is none": {
			policy: strings.Replace(weights("1"), "weightPreference", "weightsPreference", 1),
			says:   []string{`unknown field "spec.placement.replicaScheduling.weightsPreference"`},
		},
	} {
		said := s.ApplyRefused(lab.Fed, c.policy)
		for _, want := range c.says {
			require.Contains(t, said, want, name)
		}
	}
	require.Empty(t, s.Run(lab.Fed, "get", "propagationpolicies", "--output=name"))
}

func TestABadPolicyLeavesTheGoodOneInForce(t *testing.T) {
	s := begin(t, "bad-edit")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, lab.Deployment("web", 3)+policy.String())
	replicas(s, lab.Fed, "web", "3")

	s.ApplyRefused(lab.Fed, strings.Replace(policy.String(), "weight: 1", "weight: -7", 1))
	said := s.ApplyRefused(lab.Fed, lab.Deployment("web", -3))
	require.Contains(t, said, "spec.replicas: Invalid value: -3")
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=6")
	placed(s, "ap:2 eu:2 us:2", "web-deployment")
	replicas(s, lab.Fed, "web", "6")
}

func TestInvalidDeploymentsAreRefused(t *testing.T) {
	s := begin(t, "bad-deployments")
	s.Apply(lab.Fed, lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments}, Clusters: all}.String())
	for _, c := range []struct{ old, new, says string }{
		{"replicas: 1", "replicas: -1", "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		{"matchLabels: {app: bad}", "matchLabels: {app: other}", "spec.template.metadata.labels: Invalid value"},
		{"image: registry.example.com/bad:1", `image: ""`, "spec.template.spec.containers[0].image: Required value"},
		{"replicas: 1", "replicsa: 1", `unknown field "spec.replicsa"`},
	} {
		said := s.ApplyRefused(lab.Fed, strings.Replace(lab.Deployment("bad", 1), c.old, c.new, 1))
		require.Contains(t, said, c.says)
	}
	require.Empty(t, s.Run(lab.Fed, "get", "deployments,resourcebindings", "--output=name"))
}
