package tutorial

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// fed is how the tutorial begins a command for the federation.
const fed = "kubectl --kubeconfig=.flotilla/fed-config "

var members = []string{"ap", "eu", "us"}

// member is how it begins a command for a member.
func member(name string) string {
	return fmt.Sprintf("kubectl --kubeconfig=.flotilla/kubeconfig-%s ", name)
}

// begin starts a playground in an empty directory, with the documents beside it
// as in a clone.
func begin(t *testing.T) *lab.Session {
	t.Helper()
	l := lab.New(t.TempDir())
	docs, err := filepath.Abs(filepath.Join(lab.Repository(), "docs"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(docs, filepath.Join(l.Dir, "docs")))
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	s := l.Session(t)
	require.NoError(t, l.Start())
	return s
}

// TestTutorial is one sitting from an empty directory to playground-clean. Each
// step stands on the one before.
func TestTutorial(t *testing.T) {
	l := begin(t).Lab
	for _, step := range []struct {
		name string
		do   func(*lab.Session)
	}{
		{"clusters are ready", clustersReady},
		{"1 without a policy nothing runs", withoutPolicy},
		{"2 a policy places it", placed},
		{"3 scaled to 10", scaled},
		{"4 other weights", weighted},
		{"5 describe tells what happened", described},
		{"6 sleep waits for a policy", sleepWaits},
		{"7 drift is repaired", driftRepaired},
		{"8 stop and resume", resumed},
		{"7 a policy goes and works stay", policyGoes},
		{"7 the template goes and works go", templateGoes},
		{"8 clean", cleaned},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(l.Session(t)) }) {
			return
		}
	}
}

func clustersReady(s *lab.Session) {
	var rows [][]string
	for line := range strings.Lines(s.Type(fed + "get clusters")) {
		rows = append(rows, strings.Fields(line)[:4])
	}
	require.Equal(s, [][]string{
		{"NAME", "VERSION", "MODE", "READY"},
		{"ap", "v1.36.3", "Pull", "True"},
		{"eu", "v1.36.3", "Pull", "True"},
		{"us", "v1.36.3", "Pull", "True"},
	}, rows)
}

func withoutPolicy(s *lab.Session) {
	require.Equal(s, "deployment.apps/hello created\nservice/hello created\n", s.Type(fed+"apply -f docs/tutorial/hello.yaml"))
	require.Regexp(s, `(?m)^hello +0/3 +0 +0 `, s.Type(fed+"get deployments"))
	matches(s, `Warning  ApplyPolicyFailed  \S+ +resource-detector  No policy match for resource\n$`, fed+"describe deployment hello")
}

func placed(s *lab.Session) {
	require.Equal(s, "propagationpolicy.policy.karmada.io/hello created\n", s.Type(fed+"apply -f docs/tutorial/policy.yaml"))
	matches(s, `(?m)^hello +3/3 +3 +3 `, fed+"get deployments")
	for _, m := range members {
		matches(s, `^hello-\S+ +1/1 +Running +0 +\S+\n$`, member(m)+"get pods --no-headers")
		matches(s, `^hello +ClusterIP +10\.\S+ +<none> +5000/TCP `, member(m)+"get service hello --no-headers")
	}
}

func scaled(s *lab.Session) {
	require.Equal(s, "deployment.apps/hello scaled\n", s.Type(fed+"scale deployment/hello --replicas=10"))
	matches(s, `(?m)^hello +10/10 +10 +10 `, fed+"get deployments")
	counts := []int{runningPods(s, "ap"), runningPods(s, "eu"), runningPods(s, "us")}
	slices.Sort(counts)
	require.Equal(s, []int{3, 3, 4}, counts)
}

func weighted(s *lab.Session) {
	require.Equal(s, "propagationpolicy.policy.karmada.io/hello configured\n", s.Type(fed+"apply -f docs/tutorial/policy-weights.yaml"))
	for m, want := range map[string]int{"us": 4, "ap": 2, "eu": 4} {
		s.Eventually(fmt.Sprintf("%d pods in %s", want, m), func() (string, bool) {
			n := runningPods(s, m)
			return fmt.Sprint(n), n == want
		})
	}
	matches(s, `(?m)^hello +10/10 +10 +10 `, fed+"get deployments")
}

func described(s *lab.Session) {
	for _, want := range []string{
		`propagationpolicy\.karmada\.io/permanent-id=[0-9a-f-]{36}\n`,
		`propagationpolicy\.karmada\.io/name: hello\n`,
		`propagationpolicy\.karmada\.io/namespace: default\n`,
		`Normal +SyncSucceed +\S+ +execution-controller +.*\bap, eu, us\b`,
		`Normal +AggregateStatusSucceed +\S+ +resource-binding-status-controller `,
		`Normal +ScheduleBindingSucceed +\S+ +default-scheduler `,
		`Normal +SyncWorkSucceed +\S+ +binding-controller `,
	} {
		matches(s, want, fed+"describe service hello")
	}
}

func sleepWaits(s *lab.Session) {
	s.Type(fed + "apply -f docs/tutorial/sleep.yaml")
	matches(s, `No policy match for resource\n$`, fed+"describe deployment sleep")
	require.Regexp(s, `(?m)^sleep +0/3 +0 +0 `, s.Type(fed+"get deployments"))
	for _, m := range members {
		require.NotContains(s, s.Type(member(m)+"get deployments"), "sleep")
	}
	s.Type(fed + "apply -f docs/tutorial/policy-with-sleep.yaml")
	matches(s, `(?m)^sleep +3/3 +3 +3 `, fed+"get deployments")
	matches(s, `(?m)^hello +10/10 +10 +10 `, fed+"get deployments")
}

func driftRepaired(s *lab.Session) {
	eu := member("eu")
	s.Type(eu + "scale deployment/hello --replicas=1")
	s.Shows("eu", "4", "get", "deployment", "hello", "--output=jsonpath={.spec.replicas}")
	before := s.Type(eu + "get deployment hello -o jsonpath={.metadata.uid}")
	s.Type(eu + "delete deployment hello")
	s.Eventually("another deployment hello with 4 ready replicas in eu", func() (string, bool) {
		out, err := s.Try("eu", "get", "deployment", "hello", "--output=jsonpath={.metadata.uid} {.status.readyReplicas}")
		uid, ready, _ := strings.Cut(out, " ")
		return fmt.Sprint(out, err), uid != before && ready == "4"
	})
	s.Type(eu + "delete service hello")
	matches(s, `^hello +ClusterIP `, eu+"get service hello --no-headers --ignore-not-found")
	matches(s, `(?m)^hello +10/10 +10 +10 `, fed+"get deployments")
}

// resumed compares identities, so that nothing can have been made anew.
func resumed(s *lab.Session) {
	const all = "get deployments,services,pods -o jsonpath='{range .items[*]}{.kind} {.metadata.name} {.metadata.uid}{\"\\n\"}{end}'"
	look := func() map[string]string {
		seen := map[string]string{
			"federation": s.Type(fed + all),
			"bindings":   s.Type(fed + "get resourcebindings -o jsonpath='{.items[*].metadata.uid} {.items[*].spec.clusters}'"),
		}
		for _, m := range members {
			seen[m] = s.Type(member(m) + all)
		}
		return seen
	}
	before := look()
	require.NoError(s, s.Stop())
	require.NoFileExists(s, s.Path("ready"))
	require.NoError(s, s.Start())
	require.Equal(s, before, look())
	clustersReady(s)
	matches(s, `(?m)^hello +10/10 +10 +10 `, fed+"get deployments")

	s.Type(fed + "scale deployment/hello --replicas=5")
	matches(s, `(?m)^hello +5/5 +5 +5 `, fed+"get deployments")
}

func policyGoes(s *lab.Session) {
	pods := func() (all []string) {
		for _, m := range members {
			all = append(all, s.Type(member(m)+"get pods -o jsonpath='{.items[*].metadata.uid}'"))
		}
		return all
	}
	before := pods()
	s.Type(fed + "delete propagationpolicy hello")
	s.Eventually("hello without a claim", func() (string, bool) {
		out := s.Type(fed + "get deployment hello -o yaml")
		return out, !strings.Contains(out, "propagationpolicy.karmada.io")
	})
	matches(s, `(?m)^hello +5/5 +5 +5 `, fed+"get deployments")
	require.Equal(s, before, pods())
	// What stays is still looked after.
	s.Type(member("ap") + "delete service hello")
	matches(s, `^hello +ClusterIP `, member("ap")+"get service hello --no-headers --ignore-not-found")
}

func templateGoes(s *lab.Session) {
	s.Type(fed + "delete deployment/hello service/hello")
	for _, m := range members {
		s.Gone(m, "deployments,services,pods", "--selector=app=hello")
	}
	s.Gone(lab.Fed, "resourcebindings", "hello-deployment", "hello-service")
	for _, m := range members {
		require.Contains(s, s.Type(member(m)+"get deployments"), "sleep")
	}
	s.Type(fed + "delete -f docs/tutorial/sleep.yaml")
	for _, m := range members {
		s.Gone(m, "deployments,pods")
	}
}

func cleaned(s *lab.Session) {
	require.NoError(s, s.Stop())
	s.Type("playground clean")
	require.NoDirExists(s, s.Path())
	require.FileExists(s, filepath.Join(s.Dir, "docs", "tutorial", "hello.yaml"))
}

// matches waits until what a command prints matches a pattern.
func matches(s *lab.Session, pattern, line string) {
	s.Helper()
	re := regexp.MustCompile(pattern)
	s.Eventually(fmt.Sprintf("%q prints %s", line, pattern), func() (string, bool) {
		out := s.Type(line)
		return out, re.MatchString(out)
	})
}

func runningPods(s *lab.Session, m string) int {
	return strings.Count(s.Type(member(m)+"get pods --selector=app=hello --field-selector=status.phase=Running -o name"), "\n")
}
