//go:build linux

package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/pkg/version"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/realnode"
)

const (
	// helmWait is what Helm is given until everything runs.
	helmWait = "4m"
	// commandTimeout is a little longer.
	commandTimeout = 5 * time.Minute
)

// current is the tag of the images as they are built, and the chart's default.
var current = version.Version

// federation is one that was installed by the chart, and a test at its keyboard.
type federation struct {
	*lab.Session
	dir string
	// namespace it is in, in the host cluster.
	namespace string
	// server is its URL for members and this machine.
	server string
}

// newFederation prepares to install a federation that is reached by a node port of
// the host cluster.
func newFederation(t *testing.T, namespace string, nodePort int) *federation {
	t.Helper()
	realnode.Require(t)
	f := &federation{dir: t.TempDir(), namespace: namespace, server: fmt.Sprintf("https://%s:%d", world.host.Address, nodePort)}
	return f.at(t)
}

// at is the same federation in a part of a test.
func (f *federation) at(t *testing.T) *federation {
	t.Helper()
	part := &federation{Session: lab.New(f.dir).Session(t), dir: f.dir, namespace: f.namespace, server: f.server}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(part.pods() + world.Report())
		}
	})
	return part
}

// pods are Flotilla's pods in all clusters, what they say, and why they do not run,
// for a test that failed.
func (f *federation) pods() string {
	var report strings.Builder
	for name := range world.clusters {
		for _, args := range [][]string{
			{"get", "pods", "--all-namespaces", "--output=wide"},
			{"get", "events", "--all-namespaces", "--field-selector=type=Warning"},
			{"logs", "--namespace=" + f.namespace, "--selector=app.kubernetes.io/name=flotilla", "--tail=20", "--prefix", "--ignore-errors"},
		} {
			out, err := f.Try(kubeconfig(name), args...)
			if err != nil {
				out += err.Error()
			}
			fmt.Fprintf(&report, "--- kubectl %s in %s\n%s\n", strings.Join(args, " "), name, out)
		}
	}
	return report.String()
}

// kubeconfig is the path of a cluster's.
func kubeconfig(cluster string) string { return world.clusters[cluster].Kubeconfig() }

// fed is the path of the federation's, where a report looks for it.
func (f *federation) fed() string { return f.Kubeconfig(lab.Fed) }

// command runs one of the repository's binaries and returns what it prints.
func (f *federation) command(binary string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(f.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab.Binary(binary), args...)
	cmd.Dir = f.dir
	cmd.Env = f.environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", binary, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// environment keeps Helm from reading and writing what belongs to the user.
func (f *federation) environment() []string {
	return append(os.Environ(), "HELM_CACHE_HOME="+f.dir+"/helm", "HELM_CONFIG_HOME="+f.dir+"/helm", "HELM_DATA_HOME="+f.dir+"/helm")
}

// release is one of Helm's.
type release struct {
	cluster, namespace, name string
}

// helm runs a command of Helm about a release, and waits until all of it runs.
func (f *federation) helm(r release, verb string, args ...string) error {
	began := time.Now()
	_, err := f.command("helm", append([]string{
		verb, r.name, "--kubeconfig=" + kubeconfig(r.cluster), "--namespace=" + r.namespace, "--wait", "--timeout=" + helmWait,
	}, args...)...)
	f.Logf("helm %s %s in %s took %s", verb, r.name, r.cluster, time.Since(began).Round(time.Second))
	return err
}

// install installs a release of the chart.
func (f *federation) install(r release, values ...string) error {
	return f.helm(r, "install", append(chart(values), "--create-namespace")...)
}

// upgrade changes the values of a release of the chart.
func (f *federation) upgrade(r release, values ...string) error {
	return f.helm(r, "upgrade", chart(values)...)
}

// chart are arguments: the chart's directory, and values as for --set.
func chart(values []string) []string {
	args := []string{filepath.Join(lab.Repository(), "charts", "flotilla")}
	for _, value := range values {
		args = append(args, "--set="+value)
	}
	return args
}

// everywhere does something in all members at once.
func everywhere(f *federation, do func(member string) error) {
	f.Helper()
	errs := make([]error, len(members))
	var doing sync.WaitGroup
	for i, m := range members {
		doing.Go(func() { errs[i] = do(m) })
	}
	doing.Wait()
	require.NoError(f, errors.Join(errs...))
}

// login takes the administrator's kubeconfig from its Secret, as the chart's notes say.
func (f *federation) login() {
	f.Helper()
	require.NoError(f, os.MkdirAll(filepath.Dir(f.fed()), 0o700))
	f.Type(fmt.Sprintf("kubectl --kubeconfig=%s --namespace=%s get secret flotilla-kubeconfig --output='jsonpath={.data.kubeconfig}' | base64 -d > %s",
		world.host.Kubeconfig(), f.namespace, f.fed()))
	require.Equal(f, "ok", f.Run(f.fed(), "get", "--raw=/readyz"))
}
