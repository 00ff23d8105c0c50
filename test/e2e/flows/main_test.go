package flows

import (
	"os"
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

// begin starts a test in a namespace of its own.
func begin(t *testing.T, namespace string) *lab.Session {
	t.Helper()
	t.Parallel()
	return shared.NewNamespace(t, namespace)
}

// placed is what a binding says about where its template goes, by cluster name.
func placed(s *lab.Session, want, binding string) {
	s.Helper()
	s.Shows(lab.Fed, want, "get", "resourcebinding", binding,
		"--output=jsonpath={range .spec.clusters[*]}{.name}:{.replicas} {end}")
}

// replicas waits until a Deployment in a member has so many ready replicas.
func replicas(s *lab.Session, member, name, want string) {
	s.Helper()
	s.Shows(member, want, "get", "deployment", name, "--output=jsonpath={.status.readyReplicas}")
}
