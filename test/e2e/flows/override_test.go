package flows

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const images = "--output=jsonpath={.spec.template.spec.containers[*].image}"

func overrides(kind, name, cluster, overriders string) string {
	return `---
apiVersion: policy.karmada.io/v1alpha1
kind: ` + kind + `
metadata: {name: ` + name + `}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, namespace: overrides, name: web}]
  overrideRules:
  - targetCluster: {clusterNames: [` + cluster + `]}
    overriders: ` + overriders + "\n"
}

func TestOverridesChangeOneClusterOnly(t *testing.T) {
	s := begin(t, "overrides")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: all}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1))
	replicas(s, lab.Fed, "web", "3")
	uid := s.Run("ap", "get", "deployment", "web", identity)

	s.Apply(lab.Fed, overrides("OverridePolicy", "mirror", "ap",
		"{imageOverrider: [{component: Registry, operator: replace, value: mirror.ap}, {component: Tag, operator: replace, value: '2'}]}"))
	s.Shows("ap", "mirror.ap/web:2", "get", "deployment", "web", images)
	s.Mentions("ap", []string{`"policyName":"mirror"`}, "get", "deployment", "web", `--output=jsonpath={.metadata.annotations.policy\.karmada\.io/applied-overrides}`)
	for _, m := range []string{"eu", "us"} {
		require.Equal(t, "registry.example.com/web:1", s.Run(m, "get", "deployment", "web", images))
	}
	require.Equal(t, "registry.example.com/web:1", s.Run(lab.Fed, "get", "deployment", "web", images), "the template is nobody's copy")

	// Those of the namespace come after those for all, and so have the last word.
	s.Apply(lab.Fed, overrides("ClusterOverridePolicy", "e2e-overrides", "ap",
		"{labelsOverrider: [{operator: add, value: {from: all}}], imageOverrider: [{component: Tag, operator: replace, value: '9'}]}"))
	t.Cleanup(func() {
		_, _ = s.Try(lab.Fed, "delete", "clusteroverridepolicy", "e2e-overrides")
	})
	s.Shows("ap", "all", "get", "deployment", "web", "--output=jsonpath={.metadata.labels.from}")
	require.Equal(t, "mirror.ap/web:2", s.Run("ap", "get", "deployment", "web", images))

	s.Run(lab.Fed, "delete", "overridepolicy", "mirror")
	s.Shows("ap", "registry.example.com/web:9", "get", "deployment", "web", images)
	s.Run(lab.Fed, "delete", "clusteroverridepolicy", "e2e-overrides")
	s.Shows("ap", "registry.example.com/web:1", "get", "deployment", "web", images)
	s.Shows("ap", "", "get", "deployment", "web", "--output=jsonpath={.metadata.labels.from}")
	require.Equal(t, uid, s.Run("ap", "get", "deployment", "web", identity))
}

func TestAnOverrideThatCannotBeAppliedKeepsTheLastGoodManifest(t *testing.T) {
	s := begin(t, "bad-override")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"ap", "eu"}}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1))
	replicas(s, lab.Fed, "web", "2")
	uid := s.Run("ap", "get", "deployment", "web", identity)
	s.Apply(lab.Fed, `
apiVersion: policy.karmada.io/v1alpha1
kind: OverridePolicy
metadata: {name: broken}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web}]
  overrideRules:
  - targetCluster: {clusterNames: [ap]}
    overriders: {plaintext: [{path: /spec/nothing/here, operator: replace, value: 1}]}
`)
	work := s.Run("ap", "get", "deployment", "web", `--output=jsonpath={.metadata.annotations.work\.karmada\.io/name}`)
	shared.Session(t).Mentions(lab.Fed,
		[]string{"False", "OverridePolicy bad-override/broken: spec.overrideRules[0].overriders.plaintext[0]", "/spec/nothing/here"},
		"get", "work", work, "--namespace=karmada-es-ap",
		`--output=jsonpath={.status.conditions[?(@.type=="Rendered")].status} {.status.conditions[?(@.type=="Rendered")].message}`)
	s.Mentions(lab.Fed, []string{"False", "ap", "bad-override/broken"}, "get", "resourcebinding", "web-deployment",
		`--output=jsonpath={.status.conditions[?(@.type=="FullyApplied")].status} {.status.conditions[?(@.type=="FullyApplied")].message}`)
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=2")
	replicas(s, "eu", "web", "2")
	require.Equal(t, uid+" 1", s.Run("ap", "get", "deployment", "web", "--output=jsonpath={.metadata.uid} {.spec.replicas}"))

	s.Run(lab.Fed, "delete", "overridepolicy", "broken")
	replicas(s, "ap", "web", "2")
	replicas(s, lab.Fed, "web", "4")
}
