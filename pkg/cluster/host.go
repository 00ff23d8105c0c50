package cluster

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Hosted is an agent that runs in this process, for one Push cluster.
type Hosted interface {
	// Run works until ctx ends. When it returns before, another one is made and
	// run.
	Run(ctx context.Context) error
}

// HostedFactory makes the agent of a Push cluster. member is the configuration
// of clients of the member.
type HostedFactory func(cluster *clusterv1alpha1.Cluster, member *rest.Config) (Hosted, error)

// The pauses before a hosted agent that ended is started again. One that ran for
// longer than the longest starts over with the shortest.
const (
	firstRestart = time.Second
	maxRestart   = time.Minute
)

// Host runs the agents of Push clusters.
type Host struct {
	factory HostedFactory

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // the lifetime of all agents; nil before Start and after its end
	tenants map[string]*tenant
	running sync.WaitGroup
}

// tenant is one hosted agent.
type tenant struct {
	print  string // of everything it was made from
	cancel context.CancelFunc
	done   chan struct{}
}

// NewHost makes a Host. A nil factory hosts nothing.
func NewHost(factory HostedFactory) *Host {
	return &Host{factory: factory, tenants: map[string]*tenant{}}
}

// Start lets agents run until ctx ends, and returns when all have ended. It
// satisfies the controller manager's Runnable and runs on the leader.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	h.ctx = ctx
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	h.ctx = nil // no new ones
	h.mu.Unlock()
	h.running.Wait()
	return nil
}

// Ensure has the agent of a cluster running that was made from fingerprint. One that
// was made from something else is stopped first, which takes as long as it takes
// to end. It is called for one cluster at a time. It tells false when the Host is
// not running yet; ask again soon then.
func (h *Host) Ensure(cluster *clusterv1alpha1.Cluster, member *rest.Config, fingerprint string) (bool, error) {
	if h.factory == nil {
		return true, nil
	}
	h.mu.Lock()
	current := h.tenants[cluster.Name]
	ready := h.ctx != nil
	h.mu.Unlock()
	if !ready {
		return false, nil
	}
	if current != nil && current.print == fingerprint {
		return true, nil
	}
	h.Stop(cluster.Name) // two must never work for one cluster
	cluster = cluster.DeepCopy()
	another := func() (Hosted, error) { return h.factory(cluster, member) }
	first, err := another()
	if err != nil {
		return true, err
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx == nil {
		return false, nil
	}
	ctx, cancel := context.WithCancel(klog.NewContext(h.ctx, klog.FromContext(h.ctx).WithValues("cluster", cluster.Name)))
	t := &tenant{print: fingerprint, cancel: cancel, done: make(chan struct{})}
	h.tenants[cluster.Name] = t
	h.running.Go(func() {
		defer close(t.done)
		defer cancel()
		runAgain(ctx, first, another)
	})
	return true, nil
}

// Stop ends the agent of a cluster and waits for its end. It does nothing when
// there is none.
func (h *Host) Stop(cluster string) {
	h.mu.Lock()
	t := h.tenants[cluster]
	delete(h.tenants, cluster)
	h.mu.Unlock()
	if t != nil {
		t.cancel()
		<-t.done
	}
}

// runAgain runs an agent until ctx ends, and a new one whenever one ends before.
func runAgain(ctx context.Context, agent Hosted, next func() (Hosted, error)) {
	pause := firstRestart
	for ctx.Err() == nil {
		started := time.Now()
		var err error
		if agent != nil {
			err = agent.Run(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > maxRestart {
			pause = firstRestart
		}
		klog.FromContext(ctx).Error(err, "Hosted agent ended, another one will be started", "after", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, maxRestart)
		if agent, err = next(); err != nil {
			klog.FromContext(ctx).Error(err, "Hosted agent cannot be made")
			agent = nil
		}
	}
}
