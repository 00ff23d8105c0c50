package flows

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func TestWorksAreThereToReadAndNotToEdit(t *testing.T) {
	s := begin(t, "works")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.DeploymentNamed("works-web")}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("works-web", 6))
	replicas(s, lab.Fed, "works-web", "6")

	rows := regexp.MustCompile(`(?m)^karmada-es-(ap|eu|us) +(works-web-\S+) +Deployment +True +\S+$`)
	var name string
	s.Eventually("three works are listed as applied", func() (string, bool) {
		out := s.Run(lab.Fed, "get", "works", "--all-namespaces")
		found := rows.FindAllStringSubmatch(out, -1)
		if len(found) > 0 {
			name = found[0][2]
		}
		return out, len(found) == len(all)
	})
	in := func(args ...string) []string { return append(args, "--namespace=karmada-es-eu") }
	s.Mentions(lab.Fed, []string{"Kind:         Work", "Image:              registry.example.com/works-web:1", "AppliedSuccessful", "Health:  Healthy"},
		in("describe", "work", name)...)
	require.Equal(t, "2", s.Run(lab.Fed, in("get", "work", name, "--output=jsonpath={.spec.workload.manifests[0].spec.replicas}")...))
	require.Equal(t,
		s.Run("eu", "get", "deployment", "works-web", `--output=jsonpath={.metadata.annotations.work\.karmada\.io/name}`), name)

	for _, edit := range [][]string{
		{"patch", "work", name, "--type=merge", `--patch={"spec":{"workload":{"manifests":[]}}}`},
		{"annotate", "work", name, "a=b"},
		{"delete", "work", name},
	} {
		said := s.Refused(lab.Fed, in(edit...)...)
		for _, want := range []string{"computed", "works/works-web-deployment", "template or policy"} {
			require.Contains(t, said, want, strings.Join(edit, " "))
		}
	}
	replicas(s, "eu", "works-web", "2")
}

func TestAWorkByHandIsAppliedToo(t *testing.T) {
	s := begin(t, "by-hand")
	for _, m := range all {
		s.Shows(m, "namespace/by-hand", "get", "namespace", "by-hand", "--ignore-not-found", "--output=name")
	}
	work := func(value string) string {
		return `
apiVersion: work.karmada.io/v1alpha1
kind: Work
metadata: {name: e2e-by-hand, namespace: karmada-es-us}
spec:
  workload:
    manifests:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: note, namespace: by-hand}, data: {text: ` + value + `}}
`
	}
	fed := shared.Session(t)
	fed.Apply(lab.Fed, work("hello"))
	note := []string{"get", "configmap", "note", "--ignore-not-found", "--output=jsonpath={.data.text}"}
	s.Shows("us", "hello", note...)
	fed.Shows(lab.Fed, "True", "get", "work", "e2e-by-hand", "--namespace=karmada-es-us",
		`--output=jsonpath={.status.conditions[?(@.type=="Applied")].status}`)
	fed.Apply(lab.Fed, work("again"))
	s.Shows("us", "again", note...)
	require.Empty(t, s.Run("eu", note...))
	fed.Run(lab.Fed, "delete", "work", "e2e-by-hand", "--namespace=karmada-es-us")
	s.Gone("us", "configmap", "note")
}

func TestProtectedTemplatesAreNotDeleted(t *testing.T) {
	s := begin(t, "protected")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"eu"}}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 1)+lab.Deployment("other", 1))
	s.Run(lab.Fed, "label", "deployment", "web", "resourcetemplate.karmada.io/deletion-protected=Always")
	replicas(s, "eu", "web", "1")
	uid := s.Run("eu", "get", "deployment", "web", identity)
	for _, args := range [][]string{{"deployment", "web"}, {"deployments", "--all"}} {
		said := s.Refused(lab.Fed, append([]string{"delete"}, args...)...)
		require.Contains(t, said, "remove the label resourcetemplate.karmada.io/deletion-protected")
	}
	s.Gone("eu", "deployment", "other")
	require.Equal(t, uid, s.Run("eu", "get", "deployment", "web", identity))

	s.Run(lab.Fed, "label", "deployment", "web", "resourcetemplate.karmada.io/deletion-protected-")
	s.Run(lab.Fed, "delete", "deployment", "web")
	s.Gone("eu", "deployment", "web")
}
