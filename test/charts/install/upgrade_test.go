//go:build linux

package install

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// kept are the kinds whose objects have to be the same after an upgrade, by UID.
const kept = "namespaces,clusters,deployments,services,configmaps,secrets,serviceaccounts," +
	"propagationpolicies,resourcebindings,works,clusterroles,clusterrolebindings,roles,rolebindings"

// upgrade changes values and images of the federation and of all agents, and goes
// back, while the members' workloads are asked all the time.
func (i *installation) upgrade(f *federation) {
	f.Run(f.fed(), "apply", "--filename="+filepath.Join(lab.Repository(), "test", "charts", "install", "steady.yaml"))
	urls := map[string]string{}
	for _, m := range members {
		f.running("steady", map[string]int{m: 2})
		urls[m] = fmt.Sprintf("http://%s:%d/", world.clusters[m].Address, steadyPort)
	}
	for _, url := range urls {
		f.Eventually(url+" answers", func() (string, bool) {
			err := question(newClient(), url)
			return fmt.Sprint(err), err == nil
		})
	}
	f.running("hello", map[string]int{"us": 4, "ap": 2, "eu": 4})
	federation, workloads := f.objects(), f.workloads()
	asked := probe(f, urls)

	require.NoError(f, f.upgrade(theFederation, append(slices.Clone(i.values),
		"image.tag="+newer, "apiServer.extraArgs[0]=--v=3", "apiServer.resources.requests.cpu=150m", "commonLabels.upgraded=yes")...))
	f.runs(theFederation, "apiserver", newer)
	f.same(federation, workloads)
	everywhere(f, func(m string) error {
		return f.helm(agentOf(m), "upgrade", append(chart([]string{
			"image.tag=" + newer, "agent.extraArgs[0]=--v=3", "agent.resources.requests.cpu=60m",
		}), "--reuse-values")...)
	})
	for _, m := range members {
		f.runs(agentOf(m), "agent", newer)
	}
	f.same(federation, workloads)
	f.works("upgraded")

	require.NoError(f, f.helm(theFederation, "rollback", "1"))
	f.runs(theFederation, "apiserver", current)
	everywhere(f, func(m string) error { return f.helm(agentOf(m), "rollback", "1") })
	for _, m := range members {
		f.runs(agentOf(m), "agent", current)
	}
	f.same(federation, workloads)
	f.works("rolled-back")
	f.Logf("answers while the federation and all agents were upgraded and rolled back: %v", asked.end(f, 200))
}

// objects are all of the federation's: kind, name, UID.
func (f *federation) objects() []string {
	f.Helper()
	out := f.Run(f.fed(), "get", kept, "--all-namespaces",
		`--output=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.uid}{"\n"}{end}`)
	list := slices.Collect(strings.Lines(out))
	slices.Sort(list)
	return list
}

// workloads are all pods of applications in all members.
func (f *federation) workloads() []string {
	f.Helper()
	var list []string
	for _, m := range members {
		for _, app := range []string{"steady", "hello", "sleep"} {
			for _, pod := range f.podsOf(app, m) {
				list = append(list, m+" "+pod)
			}
		}
	}
	return list
}

// same sees that no object of the federation and no pod in the members has gone or
// has been replaced, that no container was restarted, and that clusters stay ready.
func (f *federation) same(federation, workloads []string) {
	f.Helper()
	after := f.objects()
	gone := slices.DeleteFunc(slices.Clone(federation), func(object string) bool { return slices.Contains(after, object) })
	require.Empty(f, gone, "objects of the federation stay")
	require.Equal(f, workloads, f.workloads(), "pods in the members stay")
	f.clustersReady()
	require.Equal(f, workloads, f.workloads(), "pods in the members stay")
}

// runs sees that a component's only pod is ready and has the image with this tag. The
// pod's status names the image by any of its tags.
func (f *federation) runs(r release, component, tag string) {
	f.Helper()
	f.Shows(kubeconfig(r.cluster), "true "+imageRepository+component+":"+tag, "--namespace="+r.namespace, "get", "pods",
		"--selector=app.kubernetes.io/component="+component, "--output=jsonpath={.items[*].status.containerStatuses[0].ready} {.items[*].spec.containers[0].image}")
}

// works sees that something new gets to all members.
func (f *federation) works(name string) {
	f.Helper()
	f.Apply(f.fed(), lab.ConfigMap(name, "key", "value")+lab.Policy{
		Name: name, Selectors: []string{"{apiVersion: v1, kind: ConfigMap, name: " + name + "}"}, Clusters: members,
	}.String())
	for _, m := range members {
		f.Shows(kubeconfig(m), "value", "get", "configmap", name, "--ignore-not-found", "--output=jsonpath={.data.key}")
	}
}
