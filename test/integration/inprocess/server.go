package inprocess

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
	"github.com/flotilla-io/flotilla/test/ports"
)

const (
	patience = time.Minute
	poll     = 50 * time.Millisecond
)

// Federation is an API server that runs in this process, as its administrator sees it.
type Federation struct {
	Config *rest.Config
	client.Client
	etcd *clientv3.Client
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
	// An etcd of its own, which the tests can ask what was written.
	store, err := etcd.Start(ctx, etcd.Options{Dir: filepath.Join(dir, "etcd"), QuotaBytes: opts.EtcdQuotaBytes, SnapshotCount: opts.EtcdSnapshotCount})
	if err != nil {
		return 1, err
	}
	defer store.Stop()
	opts.EtcdServers = []string{store.Endpoint()}
	asked, err := etcd.Dial(opts.EtcdServers, "", "", "")
	if err != nil {
		return 1, err
	}
	defer func() { _ = asked.Close() }()
	opts.BindAddress = net.IPv4(127, 0, 0, 1)
	if opts.SecurePort, err = ports.Free(); err != nil {
		return 1, err
	}
	server, err := apiserver.New(ctx, opts)
	if err != nil {
		return 1, err
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	code, err := serve(ctx, &Federation{Config: server.Client("test"), etcd: asked}, tests, share)
	cancel()
	if ended := <-done; err == nil {
		err = ended
	}
	return code, err
}

// serve waits for the server, and runs the tests.
func serve(ctx context.Context, fed *Federation, tests interface{ Run() int }, share func(context.Context, *Federation) error) (int, error) {
	var err error
	if fed.Client, err = client.New(fed.Config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return 1, err
	}
	if err := waitReady(ctx, fed.Config); err != nil {
		return 1, err
	}
	if err := share(ctx, fed); err != nil {
		return 1, err
	}
	return tests.Run(), nil
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
