package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/apply"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// conditionRendered is False on a Work whose inputs could not be turned into a manifest.
const conditionRendered = "Rendered"

// engine is what works are handed to.
type engine interface {
	Records() []*inventory.Record
	Sync(plan inventory.Plan, bad map[string][]error)
	Set(record *inventory.Record, bad []error)
	Remove(name string)
	Keep(name string)
	Hold(name string)
	RemoveOrphan(orphan inventory.Object, work string)
	Claimed(key inventory.Key) bool
}

// intake takes works from the federation's list and watch and decides what of it is believed.
type intake struct {
	engine engine
	guard  inventory.Guard
	// stay tells whether a list may mean what it does not say.
	stay *membership
	// onEpoch is called when a list comes from another life of the API server than the last one.
	onEpoch func()
	// onHold is called when what is held may have changed. It must not block or call back.
	onHold func()
	// onWork is called for each work that the federation says it has, under the same terms.
	onWork func(name string)
	// onListed is called after each full list was taken in, under the same terms.
	onListed func()

	mu    sync.Mutex
	epoch uint64
	// listed are the works of the federation; the value tells whether what they do not name may go.
	listed map[string]bool
	hold   hold
}

var _ cache.ReflectorStore = &intake{}

// errNoWork marks an object in the stream of works that is none.
var errNoWork = errors.New("not a Work")

// rendered tells whether a Work's manifests are what is wanted.
func rendered(work *workv1alpha1.Work) bool {
	return len(work.Spec.Workload.Manifests) > 0 || !meta.IsStatusConditionFalse(work.Status.Conditions, conditionRendered)
}

// Add implements cache.ReflectorStore, as do the methods below.
func (i *intake) Add(obj any) error {
	work, ok := obj.(*workv1alpha1.Work)
	if !ok {
		return fmt.Errorf("%w: %T", errNoWork, obj)
	}
	if work.DeletionTimestamp != nil {
		return i.Delete(work)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	// The event is about this work alone: whatever was held of it is settled by it.
	i.settle(work.Name)
	defer i.onWork(work.Name)
	if !rendered(work) {
		i.listed[work.Name] = false
		i.engine.Keep(work.Name)
		return nil
	}
	record, bad := apply.ReadWork(work)
	i.listed[work.Name] = record.Prunes()
	i.engine.Set(record, bad)
	i.adopt()
	return nil
}

func (i *intake) Update(obj any) error { return i.Add(obj) }

func (i *intake) Delete(obj any) error {
	work, ok := obj.(*workv1alpha1.Work)
	if !ok {
		return fmt.Errorf("%w: %T", errNoWork, obj)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.settle(work.Name)
	delete(i.listed, work.Name)
	i.engine.Remove(work.Name)
	return nil
}

// Replace takes in a full list: nothing of what it says is replayed, only what differs is done.
func (i *intake) Replace(items []any, version string) error {
	var want []*inventory.Record
	kept := map[string]bool{}
	bad := map[string][]error{}
	listed := make(map[string]bool, len(items))
	for _, item := range items {
		work, ok := item.(*workv1alpha1.Work)
		switch {
		case !ok:
			return fmt.Errorf("%w: %T", errNoWork, item)
		case work.DeletionTimestamp != nil:
			continue
		case !rendered(work):
			kept[work.Name], listed[work.Name] = true, false
			continue
		}
		record, errs := apply.ReadWork(work)
		want = append(want, record)
		listed[work.Name] = record.Prunes()
		if len(errs) > 0 {
			bad[work.Name] = errs
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.listed = listed
	if epoch := epochOf(version); epoch != i.epoch {
		i.epoch = epoch
		i.onEpoch()
	}
	plan := inventory.Diff(i.engine.Records(), want, kept)
	i.hold = hold{orphans: i.hold.orphans}
	if plan.Held || i.stay.renewed() || i.guard.Holds(len(plan.Doomed), plan.Total) {
		i.hold.take(&plan, bad)
	}
	for name := range kept {
		i.engine.Keep(name)
	}
	i.engine.Sync(plan, bad)
	for _, name := range i.hold.gone {
		i.engine.Hold(name)
	}
	for name := range i.hold.changed {
		i.engine.Hold(name)
	}
	for name := range listed {
		i.onWork(name)
	}
	i.adopt()
	i.onHold()
	i.onListed()
	return nil
}

func (i *intake) Resync() error { return nil }

// epochOf is the life of the API server that a resourceVersion comes from.
func epochOf(version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0
	}
	return n >> 32
}

// settle drops what is held of one work, under the lock.
func (i *intake) settle(name string) {
	if i.hold.settle(name) {
		i.onHold()
	}
}

// adopt drops the orphans that a work claims by now, under the lock.
func (i *intake) adopt() {
	for key := range i.hold.orphans {
		if i.engine.Claimed(key) {
			delete(i.hold.orphans, key)
			i.onHold()
		}
	}
}

// follow lists and watches works until the context ends.
func (i *intake) follow(ctx context.Context, f *federation, admit func(context.Context) error) {
	logger := klog.FromContext(ctx)
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			if err := admit(ctx); err != nil {
				return nil, err
			}
			if err := i.stay.look(ctx); err != nil {
				return nil, err
			}
			return f.listWorks(ctx)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			// A watch begins after its list was taken in.
			if err := i.stay.settle(); err != nil {
				return nil, err
			}
			return f.watchWorks(ctx, options)
		},
	}
	cache.NewReflectorWithOptions(listThenWatch{source}, &workv1alpha1.Work{}, i, cache.ReflectorOptions{
		Logger:  &logger,
		Name:    "works",
		Backoff: &wait.Backoff{Duration: 300 * time.Millisecond, Cap: 5 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
	}).RunWithContext(ctx)
}

// listThenWatch keeps the reflector from asking for a streamed list: each list has to be judged as a
// whole, and a server that does not know the request would look like one that never ends its list.
type listThenWatch struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported is asked by the reflector.
func (listThenWatch) IsWatchListSemanticsUnSupported() bool { return true }
