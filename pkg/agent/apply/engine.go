package apply

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

// Interpreter reads what the federation wants to know from a live object.
type Interpreter interface {
	ReflectStatus(*unstructured.Unstructured) (*runtime.RawExtension, error)
	Health(*unstructured.Unstructured) (workv1alpha2.ResourceHealth, error)
}

// Options of an Engine. All fields but Clock, Workers and Backoff are needed.
type Options struct {
	// Cluster is the member's name, for messages.
	Cluster string
	// Namespace is the execution namespace: objects that carry it are this agent's.
	Namespace string
	Member    *Member
	Kinds     *kinds.Kinds
	// Interpreter must not keep or change the objects it is given.
	Interpreter Interpreter
	// Report is told what became of a work, each time it changes. It must not block.
	Report func(Observation)
	// Save and Drop keep the inventory. They are called for different works at once, for the same work
	// one after the other.
	Save func(*inventory.Record) error
	Drop func(work string) error
	// Workers apply that many objects at once. Default 8.
	Workers int
	// Backoff after a failure, first and longest. Default 250 ms and 1 min.
	Backoff, MaxBackoff time.Duration
	Clock               clock.WithTicker
}

// Engine applies, repairs and prunes. See the package comment.
type Engine struct {
	opts    Options
	applier applier
	queue   workqueue.TypedDelayingInterface[inventory.Key]
	backoff workqueue.TypedRateLimiter[inventory.Key]
	paused  atomic.Bool
	serves  atomic.Pointer[federations]
	// Counters.
	Applied, Repaired, Removed, Failed atomic.Int64

	mu      sync.Mutex
	works   map[string]*work
	objects map[inventory.Key]*object
	// wanted counts the objects per kind and version that have a manifest; watches follow it.
	wanted  map[schema.GroupVersionKind]int
	watches map[schema.GroupVersionKind]*watcher
	// blind are kinds that the agent may not watch.
	blind map[schema.GroupVersionKind]blindness
	// parked are objects that wait for the first attempt on their namespace.
	parked map[inventory.Key][]inventory.Key
	// pending are keys to be queued when the lock is released.
	pending []inventory.Key
	dirty   map[string]bool
	// listed is set once the federation has said what it wants. Before, an object may well be newer than
	// what is remembered of it.
	listed bool
	// running is set once there is a queue.
	running bool

	wakeWatches chan struct{}
	wakeSaver   chan struct{}
}

// NewEngine returns an Engine that manages nothing yet.
func NewEngine(opts Options) *Engine {
	if opts.Workers == 0 {
		opts.Workers = 8
	}
	if opts.Backoff == 0 {
		opts.Backoff = 250 * time.Millisecond
	}
	if opts.MaxBackoff == 0 {
		opts.MaxBackoff = time.Minute
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	e := &Engine{
		opts:        opts,
		applier:     applier{cluster: opts.Cluster, namespace: opts.Namespace, member: opts.Member, kinds: opts.Kinds},
		backoff:     workqueue.NewTypedItemExponentialFailureRateLimiter[inventory.Key](opts.Backoff, opts.MaxBackoff),
		works:       map[string]*work{},
		objects:     map[inventory.Key]*object{},
		wanted:      map[schema.GroupVersionKind]int{},
		watches:     map[schema.GroupVersionKind]*watcher{},
		blind:       map[schema.GroupVersionKind]blindness{},
		parked:      map[inventory.Key][]inventory.Key{},
		dirty:       map[string]bool{},
		wakeWatches: make(chan struct{}, 1),
		wakeSaver:   make(chan struct{}, 1),
	}
	e.applier.federations = e.federations
	opts.Kinds.OnChange(e.kindsChanged)
	return e
}

// Serve says which federation the works come from, and which ones it replaced. Objects that another one
// brought are left alone from then on.
func (e *Engine) Serve(current types.UID, former []types.UID) {
	e.serves.Store(&federations{current: current, former: slices.Clone(former)})
}

func (e *Engine) federations() federations {
	if f := e.serves.Load(); f != nil {
		return *f
	}
	return federations{}
}

// Run works until the context ends. The Engine's Kinds run beside it.
func (e *Engine) Run(ctx context.Context) {
	e.begin()
	var group sync.WaitGroup
	group.Go(func() { e.runWatches(ctx) })
	group.Go(func() { e.runSaver(ctx) })
	for range e.opts.Workers {
		group.Go(func() { e.work(ctx) })
	}
	<-ctx.Done()
	e.queue.ShutDown()
	group.Wait()
}

// begin makes the queue and fills it with all that came before.
func (e *Engine) begin() {
	e.mu.Lock()
	e.queue = workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[inventory.Key]{Clock: e.opts.Clock})
	e.running = true
	e.mu.Unlock()
	e.enqueueAll()
}

func (e *Engine) enqueueAll() {
	e.change(func() {
		for key := range e.objects {
			e.enqueue(key)
		}
	})
}

// Pause stops every change to the member; Resume takes them up again.
func (e *Engine) Pause() { e.paused.Store(true) }

// Resume undoes Pause.
func (e *Engine) Resume() {
	if !e.paused.CompareAndSwap(true, false) {
		return
	}
	e.enqueueAll()
}

func (e *Engine) work(ctx context.Context) {
	for {
		key, shutdown := e.queue.Get()
		if shutdown {
			return
		}
		e.process(ctx, key)
		e.queue.Done(key)
	}
}

// process does what an object needs now.
func (e *Engine) process(ctx context.Context, key inventory.Key) {
	if e.paused.Load() || e.opts.Kinds.Snapshot() == nil || ctx.Err() != nil {
		return // Resume and kindsChanged queue everything again
	}
	act, request, removal := e.decide(key)
	refreshes := e.opts.Kinds.Refreshes()
	switch act {
	case actApply, actRepair:
		result, err := e.applier.apply(ctx, request)
		if ctx.Err() != nil {
			return // a cancelled request says nothing
		}
		if err != nil {
			klog.FromContext(ctx).V(2).Info("Object not applied", "object", key.String(), "work", request.desired.Work, "err", err)
		}
		e.applied(key, request.desired, result, err, refreshes, act == actRepair)
	case actRemove:
		if removal.orphan != "" && e.Mirrors(key, removal.orphan) {
			e.removed(key, removal, nil, refreshes)
			return
		}
		err := e.applier.remove(ctx, removal, request.uid)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			klog.FromContext(ctx).Info("Object not removed, will retry", "object", key.String(), "work", removal.work, "err", err)
		}
		e.removed(key, removal, err, refreshes)
	}
}

// decide picks the action under the lock and copies what it needs.
func (e *Engine) decide(key inventory.Key) (action, applyRequest, removeRequest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.objects[key]
	if o == nil {
		return actNothing, applyRequest{}, removeRequest{}
	}
	act := o.next(e.watched(o))
	if act == actNothing && e.unserved(o) {
		act = actApply // the attempt says why
	}
	switch act {
	case actRemove:
		return act, applyRequest{uid: o.uid}, *o.removal
	case actRepair:
		if wait := o.repairs.wait(e.opts.Clock.Now()); wait > 0 {
			e.queue.AddAfter(key, wait)
			return actNothing, applyRequest{}, removeRequest{}
		}
	case actNothing:
		return act, applyRequest{}, removeRequest{}
	}
	if e.park(key) {
		return actNothing, applyRequest{}, removeRequest{}
	}
	if act == actRepair {
		e.Repaired.Add(1)
	}
	request := applyRequest{desired: o.desired, uid: o.uid, stands: e.standsFor(key), cautious: !e.listed}
	if request.ours = o.live != nil && o.live.ours && !o.live.terminating; request.ours {
		request.uid = o.live.uid
	}
	if o.unmanaged {
		request.uid = ""
	}
	return act, request, removeRequest{}
}

// standsFor tells, later and under the lock, whether a work still claims the object.
func (e *Engine) standsFor(key inventory.Key) func(string) bool {
	return func(name string) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		o := e.objects[key]
		if o == nil {
			return false
		}
		for _, claim := range o.claims {
			if claim == name {
				return true
			}
		}
		return false
	}
}

// park makes an object wait while its namespace is wanted but was not tried yet.
func (e *Engine) park(key inventory.Key) bool {
	namespace, ok := namespaceOf(key)
	if !ok {
		return false
	}
	n := e.objects[namespace]
	if n == nil || n.desired == nil || n.suspended || n.settled() {
		return false
	}
	e.parked[namespace] = append(e.parked[namespace], key)
	return true
}

// change runs f under the lock and queues afterwards what f enqueued, in a sensible order.
func (e *Engine) change(f func()) {
	e.mu.Lock()
	f()
	keys := e.pending
	e.pending = nil
	if !e.running {
		e.mu.Unlock()
		return // begin queues everything
	}
	var applies, removals []inventory.Key
	for _, key := range keys {
		if o := e.objects[key]; o != nil && o.desired == nil {
			removals = append(removals, key)
		} else {
			applies = append(applies, key)
		}
	}
	e.mu.Unlock()
	sortForApply(applies)
	sortForDelete(removals)
	for _, key := range applies {
		e.queue.Add(key)
	}
	for _, key := range removals {
		e.queue.Add(key)
	}
}

// enqueue is called under the lock, within change.
func (e *Engine) enqueue(key inventory.Key) { e.pending = append(e.pending, key) }

// enqueueFresh forgets earlier failures: something changed, so the next attempt is made at once.
func (e *Engine) enqueueFresh(key inventory.Key) {
	e.backoff.Forget(key)
	e.enqueue(key)
}

func (e *Engine) kindsChanged() {
	e.change(func() {
		for key, o := range e.objects {
			unserved := e.unserved(o)
			if o.desired != nil && !unserved {
				o.missing = 0
			}
			if o.desired == nil || !o.settled() || o.failed() || o.recheck || unserved {
				e.enqueueFresh(key)
			}
		}
	})
	wake(e.wakeWatches)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Scan calls visit with the metadata of every object of a kind that carries our label.
func (e *Engine) Scan(ctx context.Context, resource kinds.Resource, visit func(*metav1.PartialObjectMetadata)) error {
	return e.opts.Member.Scan(ctx, resource, visit)
}
