package propagation

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/controlplane"
)

// fed is the API server all tests share, each in a namespace of its own.
var fed struct {
	cfg *rest.Config
	client.Client
}

func TestMain(m *testing.M) {
	code, err := runWithServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runWithServer(m *testing.M) (int, error) {
	ctrl.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "flotilla-propagation")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	opts := apiserver.NewOptions()
	opts.DataDir = dir
	opts.BindAddress = net.IPv4(127, 0, 0, 1)
	if opts.SecurePort, err = freePort(); err != nil {
		return 1, err
	}
	server, err := apiserver.New(ctx, opts)
	if err != nil {
		return 1, err
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	fed.cfg = server.Client("test")
	if fed.Client, err = client.New(fed.cfg, client.Options{Scheme: scheme.Scheme}); err != nil {
		return 1, err
	}
	if err := waitReady(ctx); err != nil {
		return 1, err
	}
	code := m.Run()
	cancel()
	return code, <-done
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func waitReady(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(fed.cfg)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for {
		err := clients.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			return fed.Create(ctx, &clusterv1alpha1.Cluster{
				ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull},
			})
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the API server does not get ready: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// startControllers runs what controller-manager runs, until stop is called.
func startControllers(t *testing.T) (stop func()) {
	t.Helper()
	again := true
	mgr, err := ctrl.NewManager(fed.cfg, ctrl.Options{
		Scheme:     scheme.Scheme,
		Metrics:    server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &again},
	})
	require.NoError(t, err)
	require.NoError(t, controlplane.SetupWithManager(mgr, controlplane.Options{}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	require.True(t, mgr.GetCache().WaitForCacheSync(ctx))
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}
	require.NoError(t, fed.Create(t.Context(), ns))
	return ns.Name
}

// revision is how many writes etcd has seen.
func revision(t *testing.T) int {
	t.Helper()
	list := &corev1.ConfigMapList{}
	require.NoError(t, fed.List(t.Context(), list, client.InNamespace("kube-public"), client.Limit(1)))
	rv, err := strconv.Atoi(list.ResourceVersion)
	require.NoError(t, err)
	return rv
}

// quiet is longer than the API server holds reports back to fold them.
const quiet = 3 * time.Second

// settled is the revision once nothing has been written for a while.
func settled(t *testing.T) int {
	t.Helper()
	last, since := revision(t), time.Now()
	require.Eventually(t, func() bool {
		if now := revision(t); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > quiet
	}, 30*time.Second, 50*time.Millisecond, "writes go on")
	return last
}

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 20*time.Millisecond, append([]any{what}, args...)...)
}
