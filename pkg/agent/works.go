package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
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
	Release(name string)
	Keep(name string)
	Hold(name string)
	RemoveOrphan(orphan inventory.Object, work string)
	Claimed(key inventory.Key) bool
	Mirrors(key inventory.Key, uid types.UID) bool
}

// intake takes works from the federation's list and watch and decides what of it is believed.
type intake struct {
	engine engine
	guard  inventory.Guard
	// stay tells whether a list may mean what it does not say.
	stay *membership
	// remember keeps the nonce of the hold across restarts. It may be nil.
	remember func(nonce string)
	// secondLook is how long after a list that lacks works another one has to lack them, too, before they
	// are gone: API servers may be behind each other.
	secondLook time.Duration
	now        func() time.Time
	// onList is called for each full list, before it is taken in. It must not block or call back.
	onList func()
	// onHold is called when what is held may have changed. It must not block or call back.
	onHold func()
	// onWork is called for each work that the federation says it has, under the same terms.
	onWork func(name string)
	// onListed is called after each full list was taken in, under the same terms.
	onListed func()

	// missing is signalled when works become doubted.
	missing chan struct{}

	mu sync.Mutex
	// asked is when the list was asked for that is taken in next.
	asked time.Time
	// doubted are works that a full list did not have, by when the first such list came.
	doubted map[string]time.Time
	// listed are the works of the federation; the value tells whether what they do not name may go.
	listed map[string]bool
	// ended are works that were taken away while the scan for orphans goes on: what it found of them may
	// be gone by now. It is nil when that scan is over.
	ended map[string]bool
	hold  hold
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
	defer i.seal()
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
	// The event has the work as it was in the end, which may be newer than what is remembered.
	if preserve := work.Spec.PreserveResourcesOnDeletion; preserve != nil && *preserve {
		i.engine.Release(work.Name)
	} else {
		i.engine.Remove(work.Name)
	}
	i.end(work.Name)
	i.seal()
	return nil
}

// end notes that a work's objects are on their way out, or are left to the member, under the lock.
func (i *intake) end(name string) {
	if i.ended != nil {
		i.ended[name] = true
	}
}

// Replace takes in a full list: nothing of what it says is replayed, only what differs is done. Works
// that it lacks are gone when a second list lacks them, too.
func (i *intake) Replace(items []any, _ string) error {
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
	// What was reported before may be lost: to another life of the API server, or another server.
	i.onList()
	plan := inventory.Diff(i.engine.Records(), want, kept)
	i.hold = hold{orphans: i.hold.orphans, nonce: i.hold.nonce}
	if plan.Held || i.stay.renewed() || i.guard.Holds(len(plan.Doomed), plan.Total) {
		i.hold.take(&plan, bad)
	}
	i.doubt(&plan)
	for name := range kept {
		i.engine.Keep(name)
	}
	i.engine.Sync(plan, bad)
	for _, name := range plan.Gone {
		i.end(name)
	}
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
	i.seal()
	i.onListed()
	i.onHold()
	return nil
}

// ask notes that a list is asked for now.
func (i *intake) ask() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = i.now()
}

// doubt takes the works out of a plan that only this list lacks, under the lock. They stay as they are.
func (i *intake) doubt(plan *inventory.Plan) {
	before := i.doubted
	i.doubted = map[string]time.Time{}
	plan.Gone = slices.DeleteFunc(plan.Gone, func(name string) bool {
		since, ok := before[name]
		if !ok {
			since = i.now()
		}
		if ok && i.asked.Sub(since) >= i.secondLook {
			return false
		}
		i.doubted[name] = since
		return true
	})
	if len(i.doubted) > 0 {
		select {
		case i.missing <- struct{}{}:
		default:
		}
	}
}

// doubts tells whether works are missing, and when to look for them again.
func (i *intake) doubts() (time.Duration, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var longest time.Duration
	for _, since := range i.doubted {
		longest = max(longest, i.secondLook-i.now().Sub(since))
	}
	return longest, len(i.doubted) > 0
}

// agree takes in a second list and when it was asked for: what it lacks, and no event was about meanwhile, is
// gone.
func (i *intake) agree(list *workv1alpha1.WorkList, asked time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	there := map[string]bool{}
	for _, work := range list.Items {
		there[work.Name] = work.DeletionTimestamp == nil
	}
	for name, since := range i.doubted {
		if asked.Sub(since) < i.secondLook {
			continue // this list may be as old as the first that lacked it
		}
		delete(i.doubted, name)
		if !there[name] {
			i.engine.Remove(name)
			i.end(name)
		}
	}
}

// confirmGone looks again for what the last list lacked, until the context ends.
func (i *intake) confirmGone(ctx context.Context, list func(context.Context) (*workv1alpha1.WorkList, error)) {
	for {
		wait, missing := i.doubts()
		if !missing {
			select {
			case <-ctx.Done():
				return
			case <-i.missing:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		asked := i.now()
		works, err := list(ctx)
		if err == nil {
			i.agree(works, asked)
			continue
		}
		if ctx.Err() == nil {
			klog.FromContext(ctx).V(1).Info("Cannot look again for works that were missing, will retry", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(i.secondLook):
		}
	}
}

func (i *intake) Resync() error { return nil }

// settle drops what is held or doubted of one work, under the lock.
func (i *intake) settle(name string) {
	delete(i.doubted, name)
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
			i.ask()
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
