package mesh

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
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

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/meshlink"
)

// fed is the API server all tests share, each with clusters and Meshes of its own.
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
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	dir, err := os.MkdirTemp("", "flotilla-mesh")
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
			return client.IgnoreAlreadyExists(fed.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.SystemNamespace}}))
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

// offset is a clock that a test moves on.
type offset struct {
	mu sync.Mutex
	by time.Duration
}

func (o *offset) Now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Now().Add(o.by)
}

func (o *offset) Since(t time.Time) time.Duration { return o.Now().Sub(t) }

func (o *offset) move(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.by += d
}

// startMeshlink runs the mesh controller and the writer of events, until stop is
// called.
func startMeshlink(t *testing.T, clock *offset) (stop func()) {
	t.Helper()
	again := true
	mgr, err := ctrl.NewManager(fed.cfg, ctrl.Options{
		Scheme:     scheme.Scheme,
		Metrics:    server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &again},
	})
	require.NoError(t, err)
	writer, err := events.NewForConfig(fed.cfg, events.Options{})
	require.NoError(t, err)
	require.NoError(t, mgr.Add(writer))
	require.NoError(t, meshlink.SetupWithManager(mgr, meshlink.Options{Recorder: writer.For(meshlink.Component), Clock: clock}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
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

// revision is how many writes etcd has seen.
func revision(t *testing.T) int {
	t.Helper()
	list := &corev1.ConfigMapList{}
	require.NoError(t, fed.List(t.Context(), list, client.InNamespace("kube-public"), client.Limit(1)))
	rv, err := strconv.Atoi(list.ResourceVersion)
	require.NoError(t, err)
	return rv
}
