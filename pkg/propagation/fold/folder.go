package fold

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// coalesce is how long a settled binding waits all the same: agents that apply
// at the same time report within it.
const coalesce = 20 * time.Millisecond

// maxWindows bounds how long news may put a write off.
const maxWindows = 5

// Options are what a Folder works with.
type Options struct {
	// Lookup finds the binding of a cluster's computed Work.
	Lookup func(cluster, work string) (projection.Origin, bool)
	// Binding returns a binding from the cache; it is not modified.
	Binding func(projection.Key) (workv1alpha2.Binding, bool)
	// UpdateStatus changes the status of a binding. mutate works on a copy of
	// what is stored, may run several times, and says whether to write at all.
	UpdateStatus func(ctx context.Context, key projection.Key, mutate func(workv1alpha2.Binding) bool) error
	// StoredWork reports the status of a Work that is not computed; false when
	// there is none.
	StoredWork func(ctx context.Context, cluster string, o agentv1alpha1.WorkObservation) (bool, error)
	// Failures are the clusters of a binding whose Work cannot be rendered, with
	// the reason. Their agents leave alone what they have, and say nothing.
	Failures func(projection.Key) map[string]string
	// Namespace takes the report of a namespace, which has no binding.
	Namespace func(work string, item workv1alpha2.AggregatedStatusItem)
	// Stub takes the report of a stub of a binding's Service, which is no part of
	// the binding's status; false when it is a share by now.
	Stub func(ctx context.Context, of projection.Key, work string, item workv1alpha2.AggregatedStatusItem) bool
	// Window is how long a binding must be without news before it is written,
	// unless it has settled. It is written after maxWindows of them in any case.
	Window time.Duration
	// Workers is the number of concurrent writers.
	Workers int
}

// Folder folds reports into bindings. Make one with New, and Run it.
type Folder struct {
	opts  Options
	queue workqueue.TypedRateLimitingInterface[projection.Key]

	mu      sync.Mutex
	pending map[projection.Key]reports
	due     map[projection.Key]deadline
}

// deadline is when a queued binding is to be written.
type deadline struct{ at, latest time.Time }

// New makes a Folder.
func New(opts Options) *Folder {
	return &Folder{
		opts: opts,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[projection.Key](50*time.Millisecond, 30*time.Second),
			workqueue.TypedRateLimitingQueueConfig[projection.Key]{Name: "binding-status"}),
		pending: map[projection.Key]reports{},
		due:     map[projection.Key]deadline{},
	}
}

// Report takes observations of a cluster and returns those it cannot use, for
// good. With an error some may not have been taken: all have to be made again,
// which does no harm to the others.
func (f *Folder) Report(ctx context.Context, cluster string, observations []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	var rejected []agentv1alpha1.RejectedObservation
	var errs []error
	reject := func(o agentv1alpha1.WorkObservation, reason string) {
		rejected = append(rejected, agentv1alpha1.RejectedObservation{Name: o.Name, Reason: reason})
	}
	for _, o := range observations {
		if !readable(o) {
			reject(o, agentv1alpha1.RejectedInvalid)
			continue
		}
		origin, computed := f.opts.Lookup(cluster, o.Name)
		switch {
		case !computed:
			ok, err := f.opts.StoredWork(ctx, cluster, o)
			switch {
			case apierrors.IsInvalid(err):
				klog.FromContext(ctx).Error(err, "The status of a Work is refused", "cluster", cluster, "work", o.Name)
				reject(o, agentv1alpha1.RejectedInvalid)
			case err != nil:
				errs = append(errs, fmt.Errorf("status of Work %s of cluster %s: %w", o.Name, cluster, err))
			case !ok:
				reject(o, agentv1alpha1.RejectedNotFound)
			}
		case origin.UID != o.UID:
			reject(o, agentv1alpha1.RejectedStale)
		case origin.Binding == (projection.Key{}):
			f.opts.Namespace(o.Name, itemOf(cluster, o))
		case origin.Stub && f.opts.Stub(ctx, origin.Binding, o.Name, itemOf(cluster, o)):
		default:
			f.Add(origin.Binding, itemOf(cluster, o))
		}
	}
	return rejected, errors.Join(errs...)
}

// A binding holds what every cluster says. One of them must not make it larger
// than etcd takes, which would keep all others from being heard.
const (
	maxStatusBytes  = 64 << 10
	maxAppliedBytes = 2 << 10
)

func itemOf(cluster string, o agentv1alpha1.WorkObservation) workv1alpha2.AggregatedStatusItem {
	item := workv1alpha2.AggregatedStatusItem{
		ClusterName: cluster, Status: o.Status, Applied: o.Applied, AppliedMessage: Message(o),
		Health: workv1alpha2.ResourceHealth(o.Health),
	}
	if item.Status != nil && len(item.Status.Raw) > maxStatusBytes {
		item.Status = nil
	}
	if len(item.AppliedMessage) > maxAppliedBytes {
		item.AppliedMessage = strings.ToValidUTF8(item.AppliedMessage[:maxAppliedBytes], "") + "..."
	}
	return item
}

// readable says whether an observation can be stored. One that cannot would keep
// what all other clusters report from being written, too.
func readable(o agentv1alpha1.WorkObservation) bool {
	switch workv1alpha2.ResourceHealth(o.Health) {
	case "", workv1alpha2.ResourceHealthy, workv1alpha2.ResourceUnhealthy, workv1alpha2.ResourceUnknown:
	default:
		return false
	}
	return o.Name != "" && (o.Status == nil || len(o.Status.Raw) == 0 || json.Valid(o.Status.Raw))
}

// Message says why a Work was not applied, in a length that can be stored; it is
// empty when it was.
func Message(o agentv1alpha1.WorkObservation) string {
	if o.Applied {
		return ""
	}
	return truncate(cmp.Or(o.Message, o.Reason))
}

// Add takes what a cluster said of its share of a binding.
func (f *Folder) Add(key projection.Key, item workv1alpha2.AggregatedStatusItem) {
	f.mu.Lock()
	if f.pending[key] == nil {
		f.pending[key] = reports{}
	}
	f.pending[key][item.ClusterName] = item
	f.mu.Unlock()
	f.Schedule(key)
}

// Schedule has a binding's status looked at: after a report, and after its
// clusters changed.
func (f *Folder) Schedule(key projection.Key) {
	b, ok := f.opts.Binding(key)
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	d, queued := f.due[key]
	if !queued {
		d.latest = now.Add(maxWindows * f.opts.Window)
	}
	before := d.at
	d.at = now.Add(f.opts.Window)
	if ok && settled(b.GetSpec(), b.GetStatus().AggregatedStatus, f.pending[key]) {
		d.at = now.Add(coalesce)
	}
	if d.at.After(d.latest) {
		d.at = d.latest
	}
	f.due[key] = d
	if !queued || d.at.Before(before) {
		f.queue.AddAfter(key, d.at.Sub(now))
	}
}

// early puts a binding back that got more time since it was queued.
func (f *Folder) early(key projection.Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, queued := f.due[key]
	if wait := time.Until(d.at); queued && wait > 0 {
		f.queue.AddAfter(key, wait)
		return true
	}
	return false
}

// BindingChanged schedules a binding when its status no longer fits its
// clusters: one was taken away, or added.
func (f *Folder) BindingChanged(b workv1alpha2.Binding) {
	probe := b.DeepCopyObject().(workv1alpha2.Binding)
	if merge(probe, nil) {
		f.Schedule(projection.KeyOf(b))
	}
}

// BindingDeleted forgets what was reported of a binding.
func (f *Folder) BindingDeleted(key projection.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pending, key)
	delete(f.due, key)
}

// Run writes until ctx ends.
func (f *Folder) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range f.opts.Workers {
		workers.Go(func() {
			for f.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	f.queue.ShutDown()
	workers.Wait()
}

func (f *Folder) next(ctx context.Context) bool {
	key, quit := f.queue.Get()
	if quit {
		return false
	}
	defer f.queue.Done(key)
	if f.early(key) {
		return true
	}
	taken := f.take(key)
	failures := f.opts.Failures(key)
	err := f.opts.UpdateStatus(ctx, key, func(b workv1alpha2.Binding) bool { return merge(b, withFailures(b, taken, failures)) })
	switch {
	case err == nil, apierrors.IsNotFound(err):
		f.queue.Forget(key)
	default:
		f.giveBack(key, taken)
		if ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Writing the status of a binding failed, trying again", "binding", types.NamespacedName(key))
			f.queue.AddRateLimited(key)
		}
	}
	return true
}

func (f *Folder) take(key projection.Key) reports {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.pending[key]
	delete(f.pending, key)
	delete(f.due, key)
	return taken
}

// giveBack keeps what could not be written, unless something newer came.
func (f *Folder) giveBack(key projection.Key, taken reports) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(taken) == 0 {
		return
	}
	if f.pending[key] == nil {
		f.pending[key] = reports{}
	}
	for cluster, item := range taken {
		if _, newer := f.pending[key][cluster]; !newer {
			f.pending[key][cluster] = item
		}
	}
}
