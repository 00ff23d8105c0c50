//go:build linux

package install

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const (
	haNamespace      = "flotilla-ha"
	haPort           = 30444
	haAgentNamespace = "flotilla-ha-agent"

	writeEvery = 100 * time.Millisecond
	// longestPause is how long a client that repeats its requests may wait. The
	// Service sends some of them to the dead API server until the kubelet has seen
	// its end and kube-proxy has heard of it, which takes a second or two.
	longestPause = 20 * time.Second
)

// TestHighAvailability installs three API servers and two of each of the others, with
// an etcd of their own, lets the cluster that they are in be their member, and
// kills an API server while somebody writes.
func TestHighAvailability(t *testing.T) {
	f := newFederation(t, haNamespace, haPort)
	host := kubeconfig(hostName)
	f.Run(host, "create", "namespace", haNamespace)
	f.Run(host, "--namespace="+haNamespace, "apply", "--filename="+filepath.Join(lab.Repository(), "test", "charts", "install", "etcd.yaml"))
	require.NoError(f, f.install(release{hostName, haNamespace, "flotilla"}, "allInOne=false",
		"etcd.mode=external", "etcd.external.servers[0]=http://etcd."+haNamespace+".svc.cluster.local:2379",
		"apiServer.replicas=3", "apiServer.serviceType=NodePort", fmt.Sprintf("apiServer.nodePort=%d", haPort), "apiServer.publicURL="+f.server))
	for component, replicas := range map[string]int{"apiserver": 3, "controller-manager": 2, "scheduler": 2} {
		f.Shows(host, fmt.Sprint(replicas), "--namespace="+haNamespace, "get", "deployment", "flotilla-"+component, "--output=jsonpath={.status.readyReplicas}")
	}
	f.login()
	require.NoError(f, f.install(release{hostName, haAgentNamespace, "flotilla-agent"}, f.joining("home")...))

	f.Apply(f.fed(), strings.ReplaceAll(lab.Deployment("ha", 2), "registry.example.com/ha:1", helloImage)+
		lab.Policy{Name: "ha", Selectors: []string{lab.DeploymentNamed("ha")}, Clusters: []string{"home"}}.String())
	f.runningIn(hostName, "ha", 2)

	writer := write(t, f)
	writer.reaches(f, 20)
	for range 2 {
		f.killAPIServer()
		writer.reaches(f, len(writer.seen())+50)
	}
	written, pause := writer.end(f)
	list := strings.Fields(f.Run(f.fed(), "get", "configmaps", "--selector=written=yes", "--output=jsonpath={.items[*].metadata.name}"))
	slices.Sort(list)
	slices.Sort(written)
	require.Equal(f, written, list, "what was acknowledged is there")
	require.Less(f, pause, longestPause, "a client that repeats its requests is served by the others")
	f.Logf("%d writes while API servers were killed; the longest took %s", len(written), pause)

	f.Run(f.fed(), "scale", "deployment/ha", "--replicas=3")
	f.runningIn(hostName, "ha", 3)
	f.Shows(host, "3", "--namespace="+haNamespace, "get", "deployment", "flotilla-apiserver", "--output=jsonpath={.status.readyReplicas}")
}

// killAPIServer kills the process of one API server, and waits until the kubelet has
// started it again.
func (f *federation) killAPIServer() {
	f.Helper()
	look := func() []string {
		return strings.Fields(f.Run(kubeconfig(hostName), "--namespace="+haNamespace, "get", "pods",
			"--selector=app.kubernetes.io/component=apiserver", "--output=jsonpath={.items[*].status.containerStatuses[0].containerID}"))
	}
	before := look()
	require.Len(f, before, 3)
	require.NoError(f, world.host.Kill(f.Context(), before[0]))
	f.Eventually("the API server runs again", func() (string, bool) {
		after := look()
		return strings.Join(after, " "), len(after) == 3 && !slices.Contains(after, before[0])
	})
}

// writer creates objects, one after the other, each again and again until it is there.
type writer struct {
	stop  context.CancelFunc
	mu    sync.Mutex
	names []string
	// ended is closed at the end; pause and err are set then.
	ended chan struct{}
	pause time.Duration
	err   error
}

func write(t *testing.T, f *federation) *writer {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", f.fed())
	require.NoError(t, err)
	config.Timeout = 3 * time.Second
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		w.err = w.run(ctx, client)
	}()
	t.Cleanup(func() { cancel(); <-w.ended })
	return w
}

func (w *writer) run(ctx context.Context, client kubernetes.Interface) error {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		name := fmt.Sprintf("written-%04d", n)
		began := time.Now()
		for {
			_, err := client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"written": "yes"}},
			}, metav1.CreateOptions{})
			if err == nil || apierrors.IsAlreadyExists(err) {
				break
			}
			if ctx.Err() == nil && time.Since(began) > longestPause {
				return fmt.Errorf("%s: %w", name, err)
			}
			select {
			case <-ctx.Done():
				// Whether the last one was written is not known.
				if err := client.CoreV1().ConfigMaps("default").Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
					return err
				}
				return nil
			case <-ticker.C:
			}
		}
		w.pause = max(w.pause, time.Since(began))
		w.mu.Lock()
		w.names = append(w.names, name)
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (w *writer) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.names)
}

// reaches waits until so many objects were written.
func (w *writer) reaches(f *federation, n int) {
	f.Helper()
	f.Eventually(fmt.Sprintf("%d objects are written", n), func() (string, bool) {
		select {
		case <-w.ended:
			f.Fatal(errors.Join(errors.New("the writer has ended"), w.err))
		default:
		}
		have := len(w.seen())
		return fmt.Sprint(have), have >= n
	})
}

// end returns what was written and the longest time that one object took.
func (w *writer) end(f *federation) ([]string, time.Duration) {
	f.Helper()
	w.stop()
	<-w.ended
	require.NoError(f, w.err)
	return w.seen(), w.pause
}
