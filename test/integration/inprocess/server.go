package inprocess

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

	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
)

const (
	patience = time.Minute
	poll     = 50 * time.Millisecond
)

// Federation is an API server that runs in this process, as its administrator sees it.
type Federation struct {
	Config *rest.Config
	client.Client
}

// Main runs the tests of a package with a server that they share, and ends the process.
// It is what their TestMain does. Share is called when the server is ready, before the
// tests.
func Main(tests interface{ Run() int }, share func(context.Context, *Federation) error) {
	code, err := run(tests, share)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(tests interface{ Run() int }, share func(context.Context, *Federation) error) (int, error) {
	ctrl.SetLogger(logr.Discard())
	rest.SetDefaultWarningHandler(rest.NoWarnings{}) // the server talks to itself, as in cmd/apiserver
	dir, err := os.MkdirTemp("", "flotilla-inprocess-")
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
	code, err := serve(ctx, server.Client("test"), tests, share)
	cancel()
	if ended := <-done; err == nil {
		err = ended
	}
	return code, err
}

// serve waits for the server, and runs the tests.
func serve(ctx context.Context, cfg *rest.Config, tests interface{ Run() int }, share func(context.Context, *Federation) error) (int, error) {
	fed := &Federation{Config: cfg}
	var err error
	if fed.Client, err = client.New(cfg, client.Options{Scheme: scheme.Scheme}); err != nil {
		return 1, err
	}
	if err := waitReady(ctx, cfg); err != nil {
		return 1, err
	}
	if err := share(ctx, fed); err != nil {
		return 1, err
	}
	return tests.Run(), nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("a port for the API server: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func waitReady(ctx context.Context, cfg *rest.Config) error {
	clients, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		err := clients.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready after %s: %w", patience, err)
		case <-ticker.C:
		}
	}
}

// Revision is how many writes etcd has seen.
func (f *Federation) Revision(t testing.TB) int {
	t.Helper()
	list := &corev1.ConfigMapList{}
	require.NoError(t, f.List(t.Context(), list, client.InNamespace(metav1.NamespacePublic), client.Limit(1)))
	rv, err := strconv.Atoi(list.ResourceVersion)
	require.NoError(t, err)
	return rv
}
