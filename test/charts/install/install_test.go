//go:build linux

package install

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const (
	namespace = "flotilla-system"
	fedPort   = 30443
	// steadyPort is in steady.yaml.
	steadyPort = 30500
)

// theFederation is its release.
var theFederation = release{hostName, namespace, "flotilla"}

// agentOf is the release of a member's agent.
func agentOf(member string) release { return release{member, namespace, "flotilla-agent"} }

// TestInstallation installs a federation and three members, goes through the
// tutorial, and upgrades and rolls back under load. Each step stands on the one
// before.
func TestInstallation(t *testing.T) {
	f := newFederation(t, namespace, fedPort)
	i := &installation{}
	for _, step := range []struct {
		name string
		do   func(*federation)
	}{
		{"helm install of the federation", i.host},
		{"members join", agents},
		{"tutorial 2: placed", placed},
		{"tutorial 3: scaled to 10", scaled},
		{"tutorial 4: other weights", weighted},
		{"tutorial 6: sleep", sleeps},
		{"tutorial 7: drift is repaired", driftRepaired},
		{"upgrade and rollback", i.upgrade},
		{"uninstall and install again", i.again},
		{"tutorial 7: what goes, and what stays", goes},
		{"uninstall of agents", uninstalled},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(f.at(t)) }) {
			return
		}
	}
}

// installation remembers the values of the federation's release.
type installation struct {
	values []string
}

func (i *installation) host(f *federation) {
	require.NoError(f, world.host.AddVolume(f.Context(), "federation", "8Gi"))
	i.values = []string{
		"apiServer.serviceType=NodePort", fmt.Sprintf("apiServer.nodePort=%d", fedPort),
		"apiServer.publicURL=" + f.server,
	}
	require.NoError(f, f.install(theFederation, i.values...))
	f.login()
}

// agents lets each member join in another way: by values that somebody puts together,
// and by the two commands that fedctl prints.
func agents(f *federation) {
	everywhere(f, func(m string) error {
		switch m {
		case "ap":
			return f.joinByCertificate(agentOf(m))
		case "eu":
			return f.joinAsPrinted(agentOf(m), printedHelm)
		default:
			return f.joinAsPrinted(agentOf(m), printedRegister)
		}
	})
	f.clustersReady()
}

func (f *federation) clustersReady() {
	f.Helper()
	f.Shows(f.fed(), "ap=True eu=True us=True", "get", "clusters",
		`--output=jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}`)
}

func tutorial(file string) string {
	return filepath.Join(lab.Repository(), "docs", "tutorial", file)
}

func placed(f *federation) {
	f.Run(f.fed(), "apply", "--filename="+tutorial("hello.yaml"))
	f.Run(f.fed(), "apply", "--filename="+tutorial("policy.yaml"))
	f.ready("hello", 3)
	for _, m := range members {
		f.running("hello", map[string]int{m: 1})
		f.Shows(kubeconfig(m), "ClusterIP 5000", "get", "service", "hello", "--output=jsonpath={.spec.type} {.spec.ports[0].port}")
	}
}

func scaled(f *federation) {
	f.Run(f.fed(), "scale", "deployment/hello", "--replicas=10")
	f.ready("hello", 10)
	var counts []int
	for _, m := range members {
		counts = append(counts, len(f.podsOf("hello", m)))
	}
	slices.Sort(counts)
	require.Equal(f, []int{3, 3, 4}, counts)
}

func weighted(f *federation) {
	f.Run(f.fed(), "apply", "--filename="+tutorial("policy-weights.yaml"))
	f.running("hello", map[string]int{"us": 4, "ap": 2, "eu": 4})
	f.ready("hello", 10)
}

func sleeps(f *federation) {
	f.Run(f.fed(), "apply", "--filename="+tutorial("sleep.yaml"))
	f.Mentions(f.fed(), []string{"No policy match for resource"}, "describe", "deployment", "sleep")
	f.Run(f.fed(), "apply", "--filename="+tutorial("policy-with-sleep.yaml"))
	f.ready("sleep", 3)
}

func driftRepaired(f *federation) {
	before := f.podsOf("hello", "eu")
	f.Run(kubeconfig("eu"), "delete", "deployment", "hello", "--cascade=foreground")
	f.running("hello", map[string]int{"eu": 4})
	f.ready("hello", 10)
	for _, pod := range f.podsOf("hello", "eu") {
		require.NotContains(f, before, pod, "these are the pods of another Deployment")
	}
}

// again removes the federation, whose data stays, and installs it: it is the same one.
// Agents find it by themselves.
func (i *installation) again(f *federation) {
	federation, workloads := f.objects(), f.workloads()
	require.NoError(f, f.helm(theFederation, "uninstall"))
	require.NoError(f, f.install(theFederation, i.values...))
	f.same(federation, workloads)
	f.works("installed-again")
}

// uninstalled removes the agents, which is no reason for workloads to go.
func uninstalled(f *federation) {
	workloads := f.workloads()
	require.NotEmpty(f, workloads)
	everywhere(f, func(m string) error { return f.helm(agentOf(m), "uninstall") })
	for _, m := range members {
		f.Gone(kubeconfig(m), "--namespace="+namespace, "pods")
	}
	require.Equal(f, workloads, f.workloads())
}

func goes(f *federation) {
	f.Run(f.fed(), "delete", "propagationpolicy", "hello")
	f.running("hello", map[string]int{"us": 4, "ap": 2, "eu": 4})
	f.Run(f.fed(), "delete", "deployment,service", "hello")
	for _, m := range members {
		f.Gone(kubeconfig(m), "deployment,service", "hello")
		f.running("hello", map[string]int{m: 0})
		f.running("steady", map[string]int{m: 2})
	}
}

// ready waits until the federation says that all replicas of a Deployment are ready.
func (f *federation) ready(name string, replicas int) {
	f.Helper()
	f.Shows(f.fed(), fmt.Sprintf("%[1]d %[1]d", replicas), "get", "deployment", name, "--output=jsonpath={.status.readyReplicas} {.spec.replicas}")
}

// running waits until exactly so many pods of an application run in members, and
// the kubelets say that they are ready.
func (f *federation) running(app string, pods map[string]int) {
	f.Helper()
	for m, n := range pods {
		f.runningIn(m, app, n)
	}
}

func (f *federation) runningIn(cluster, app string, n int) {
	f.Helper()
	f.Eventually(fmt.Sprintf("%d pods of %s in %s", n, app, cluster), func() (string, bool) {
		list := f.podsOf(app, cluster)
		ready := 0
		for _, pod := range list {
			if strings.HasPrefix(pod, "true ") {
				ready++
			}
		}
		return strings.Join(list, ""), ready == n && len(list) == n
	})
}

// podsOf are an application's pods in a member: readiness, name, UID, restarts.
func (f *federation) podsOf(app, m string) []string {
	f.Helper()
	out := f.Run(kubeconfig(m), "get", "pods", "--selector=app="+app, "--output=jsonpath="+
		`{range .items[*]}{.status.containerStatuses[0].ready} {.metadata.name} {.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}`)
	list := slices.Collect(strings.Lines(out))
	slices.Sort(list)
	return list
}
