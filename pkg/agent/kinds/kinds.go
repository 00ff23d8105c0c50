package kinds

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

// Options of Kinds.
type Options struct {
	// Fetch reads the discovery documents.
	Fetch func(context.Context) ([]apidiscovery.APIGroupDiscoveryList, error)
	// Interval between refreshes nobody asked for. Default 10 minutes.
	Interval time.Duration
	// MinInterval between refreshes that were asked for. Default 2 seconds.
	MinInterval time.Duration
}

// Kinds keeps a Snapshot of what the member serves.
type Kinds struct {
	opts    Options
	current atomic.Pointer[Snapshot]
	wake    chan struct{}

	mu        sync.Mutex
	listeners []func()
}

// New returns a Kinds that knows nothing until Run has refreshed it.
func New(opts Options) *Kinds {
	if opts.Interval == 0 {
		opts.Interval = 10 * time.Minute
	}
	if opts.MinInterval == 0 {
		opts.MinInterval = 2 * time.Second
	}
	return &Kinds{opts: opts, wake: make(chan struct{}, 1)}
}

// Snapshot is the newest one, nil before the first refresh.
func (k *Kinds) Snapshot() *Snapshot { return k.current.Load() }

// Lookup finds how a kind is addressed. An unknown kind asks for a refresh; listeners hear of it.
func (k *Kinds) Lookup(kind schema.GroupVersionKind) (Resource, bool) {
	if snapshot := k.current.Load(); snapshot != nil {
		if resource, ok := snapshot.Lookup(kind); ok {
			return resource, true
		}
	}
	k.Refresh()
	return Resource{}, false
}

// Refresh asks for a refresh soon and returns at once.
func (k *Kinds) Refresh() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Refreshes counts the refreshes that succeeded, whether or not they brought something new. A Snapshot that
// is taken afterwards is of the last of them, or later.
func (k *Kinds) Refreshes() uint64 {
	if snapshot := k.current.Load(); snapshot != nil {
		return snapshot.number
	}
	return 0
}

// OnChange registers a function that is called after each refresh that brought something new, from
// the goroutine of Run. Register before Run.
func (k *Kinds) OnChange(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, f)
}

// Run refreshes until the context ends. A member that does not answer is asked again with backoff.
func (k *Kinds) Run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	backoff := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Steps: 8, Cap: 30 * time.Second, Jitter: 0.2}
	retry := backoff
	for {
		next := wait.Jitter(k.opts.Interval, 0.1)
		documents, err := k.opts.Fetch(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			next = retry.Step()
			logger.V(1).Info("Cannot read which kinds the cluster serves, will retry", "err", err, "after", next)
			if !pause(ctx, next) {
				return
			}
			continue
		}
		retry = backoff
		k.set(newSnapshot(documents, k.current.Load()))
		if !pause(ctx, k.opts.MinInterval) {
			return
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-k.wake:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (k *Kinds) set(snapshot *Snapshot) {
	snapshot.number = k.Refreshes() + 1
	old := k.current.Swap(snapshot)
	if old != nil && old.equal(snapshot) {
		return
	}
	k.mu.Lock()
	listeners := k.listeners
	k.mu.Unlock()
	for _, f := range listeners {
		f()
	}
}

func (s *Snapshot) equal(other *Snapshot) bool {
	if s.Complete != other.Complete || len(s.byKind) != len(other.byKind) {
		return false
	}
	for kind, resource := range s.byKind {
		if other.byKind[kind] != resource {
			return false
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
