package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

var shared *lab.Lab

var (
	all   = []string{"ap", "eu", "us"}
	equal = map[string]int{"ap": 1, "eu": 1, "us": 1}
)

func TestMain(m *testing.M) {
	os.Exit(lab.Main(m, func(l *lab.Lab) { shared = l }))
}

// begin starts a test in a namespace of its own, with all clusters Ready and
// empty: what an agent that was killed finds gone has to be this test's doing,
// or it may be too much to be believed.
func begin(t *testing.T, namespace string) *lab.Session {
	t.Helper()
	s := shared.NewNamespace(t, namespace)
	for _, m := range all {
		s.Shows(lab.Fed, "True", ready(m)...)
		s.Gone(m, "deployments,configmaps", "--all-namespaces", "--selector=karmada.io/managed=true")
	}
	return s
}

func ready(cluster string) []string {
	return []string{"get", "cluster", cluster, `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`}
}

// replicas waits until a Deployment has so many ready replicas in a place.
func replicas(s *lab.Session, where, name, want string) {
	s.Helper()
	s.Shows(where, want, "get", "deployment", name, "--output=jsonpath={.status.readyReplicas}")
}

// clustersOf waits until a binding places its template so.
func clustersOf(s *lab.Session, binding, want string) {
	s.Helper()
	s.Shows(lab.Fed, want, "get", "resourcebinding", binding, "--output=jsonpath={range .spec.clusters[*]}{.name}:{.replicas} {end}")
}

// condition waits until a condition of a binding has a status, and a message
// that mentions something.
func condition(s *lab.Session, binding, kind, status, mentions string) {
	s.Helper()
	s.Mentions(lab.Fed, []string{"=" + status + "=", mentions}, "get", "resourcebinding", binding,
		fmt.Sprintf(`--output=jsonpath={range .status.conditions[?(@.type==%q)]}={.status}={.reason} {.message}{end}`, kind))
}

// identities are the names and UIDs of all objects of some kinds in a place.
func identities(s *lab.Session, where, kinds string) map[string]string {
	s.Helper()
	out := s.Run(where, "get", kinds, `--output=jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.uid}{"\n"}{end}`)
	found := map[string]string{}
	for line := range strings.Lines(out) {
		name, uid, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name != "ConfigMap/kube-root-ca.crt" {
			found[name] = uid
		}
	}
	return found
}

// everywhere are the identities in all members.
func everywhere(s *lab.Session, kinds string) map[string]map[string]string {
	s.Helper()
	found := map[string]map[string]string{}
	for _, m := range all {
		found[m] = identities(s, m, kinds)
	}
	return found
}
