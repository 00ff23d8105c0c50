package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

const (
	startTimeout = 3 * time.Minute
	// stopTimeout bounds each of the two halves of a stop: controllers, then
	// the API server. A watch that does not let go is cut off.
	stopTimeout = 4 * time.Second
)

// Run runs the member until ctx ends, which is a regular stop and no error,
// or until one of its components ends, which is one.
func Run(ctx context.Context, c Config) error {
	if err := c.complete(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("member %s: %w", c.Name, err)
	}
	if err := os.Chdir(c.Dir); err != nil {
		return fmt.Errorf("member %s: %w", c.Name, err)
	}
	if err := os.Remove(c.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("member %s: %w", c.Name, err)
	}
	admin, err := certificates(&c, time.Now())
	if err != nil {
		return err
	}
	if err := admin.WriteFile(c.pki(adminKubeconfig)); err != nil {
		return fmt.Errorf("member %s: %w", c.Name, err)
	}
	all, err := newComponents(&c)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, &c)
	if err != nil {
		return err
	}
	defer etcd.Close()
	return run(ctx, &c, all, etcd, admin)
}

// run starts the components in their order over a store that is up, waits
// for the end, and stops them in the opposite order.
func run(ctx context.Context, c *Config, all *components, etcd *embed.Etcd, admin *pki.Kubeconfig) error {
	logger := klog.FromContext(ctx)
	servers := newGroup(ctx)
	clients := newGroup(ctx)
	servers.start("kube-apiserver", all.runAPIServer)
	servers.start("etcd", func(ctx context.Context) error {
		select {
		case err := <-etcd.Err():
			return err
		case <-ctx.Done():
			return nil
		}
	})

	started := make(chan error, 1)
	go func() { started <- start(ctx, c, clients, all, admin) }()

	var err error
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case err = <-servers.failed:
			ended = true
		case err = <-clients.failed:
			ended = true
		case err = <-started:
			ended = err != nil
			started = nil
		}
	}
	if ctx.Err() != nil {
		// What follows a stop that was asked for is no failure of its own.
		err = nil
	} else if err != nil {
		err = fmt.Errorf("member %s: %w", c.Name, err)
	}
	if removed := os.Remove(c.ReadyFile); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		logger.Error(removed, "The ready file stays behind", "member", c.Name)
	}
	if !clients.stop(stopTimeout) {
		logger.Info("Controllers did not stop in time, going on without them", "member", c.Name, "timeout", stopTimeout)
	}
	if !servers.stop(stopTimeout) {
		logger.Info("The API server did not stop in time, going on without it", "member", c.Name, "timeout", stopTimeout)
	}
	return err
}

// start waits for the API, starts what works against it, and writes the
// kubeconfig and the ready file.
func start(ctx context.Context, c *Config, clients *group, all *components, admin *pki.Kubeconfig) error {
	config, err := clientcmd.BuildConfigFromFlags("", c.pki(adminKubeconfig))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, 0
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := waitFor(ctx, "the API to be ready", func(ctx context.Context) (bool, error) {
		return served(ctx, client.RESTClient())
	}); err != nil {
		return err
	}
	clients.start("kube-controller-manager", all.runControllerManager)
	clients.start("kube-scheduler", all.runScheduler)
	if err := admin.WriteFile(c.Kubeconfig); err != nil {
		return err
	}
	if err := ensureNodes(ctx, client, c.Name, c.Nodes); err != nil {
		return err
	}
	if c.Nodes > 0 {
		if err := startKwok(clients.ctx, c, os.Stderr); err != nil {
			return err
		}
	}
	if err := waitFor(ctx, "the nodes to be ready", func(ctx context.Context) (bool, error) {
		return nodesReady(ctx, client, c.Nodes)
	}); err != nil {
		return err
	}
	return pki.WriteFile(c.ReadyFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

func served(ctx context.Context, client rest.Interface) (bool, error) {
	return true, client.Get().AbsPath("/readyz").Do(ctx).Error()
}

// waitFor polls until the condition holds without an error. The last error
// tells what was missing when time runs out.
func waitFor(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		ok, err := condition(ctx)
		if ctx.Err() == nil {
			last = err
		}
		return ok && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, errors.Join(err, last))
	}
	return nil
}

// group is components that start and stop together.
type group struct {
	ctx    context.Context //nolint:containedctx // the lifetime of the group is what the group is
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed chan error
}

// newGroup is a group that ends only when it is stopped, whatever becomes of
// the parent: the order of a stop is the caller's.
func newGroup(parent context.Context) *group {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	return &group{ctx: ctx, cancel: cancel, failed: make(chan error, 8)}
}

func (g *group) start(name string, run func(context.Context) error) {
	g.wg.Go(func() {
		err := run(g.ctx)
		if g.ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended without an error")
		}
		g.failed <- fmt.Errorf("%s: %w", name, err)
	})
}

// stop ends all components and waits for them. It reports false if some were
// left behind.
func (g *group) stop(timeout time.Duration) bool {
	g.cancel()
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(timeout):
		return false
	}
}
