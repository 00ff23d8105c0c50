package projection

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// bookmarkPeriod is how often an idle watch is told where it stands.
const bookmarkPeriod = time.Minute

// watchBatch is how many Works are taken under the lock at once.
const watchBatch = 128

// WatchOptions select what a list or watch sees.
type WatchOptions struct {
	// Name restricts to one Work, empty for all.
	Name string
	// SpecOnly leaves out changes of reported status: agents make them.
	SpecOnly bool
	// ResourceVersion to start after; empty or "0" starts with all that is.
	ResourceVersion string
	// InitialEvents sends all that is first, then, with Bookmarks, one that
	// says so.
	InitialEvents bool
	// Bookmarks asks for bookmarks.
	Bookmarks bool
}

func (o WatchOptions) order() order {
	if o.SpecOnly {
		return bySpec
	}
	return byLatest
}

// Watch streams the changes of a cluster's Works, or of all with an empty name,
// until ctx ends or Stop is called.
func (p *Projection) Watch(ctx context.Context, cluster string, opts WatchOptions) (watch.Interface, error) {
	from, anyState, err := parseVersion(p.epoch, opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	views, err := p.viewsOf(cluster)
	if err != nil {
		return nil, err
	}
	if anyState || opts.InitialEvents {
		from = 0
	} else if from > p.counter {
		return nil, apierrors.NewResourceExpired("resourceVersion is from the future; list again")
	}
	w := &watcher{
		p: p, cluster: cluster, opts: opts, from: from,
		events: make(chan watch.Event), stopped: make(chan struct{}),
	}
	if from == 0 {
		w.initialUntil = p.counter
	} else {
		if from < p.horizonOf(cluster, views) {
			return nil, apierrors.NewResourceExpired("resourceVersion is older than the deletions that are remembered; list again")
		}
	}
	go w.run(ctx)
	return w, nil
}

type watcher struct {
	p       *Projection
	cluster string
	opts    WatchOptions
	from    version
	// initialUntil is the version up to which the initial state goes; no
	// deletion before it concerns this watcher.
	initialUntil version
	events       chan watch.Event
	stopOnce     sync.Once
	stopped      chan struct{}
}

func (w *watcher) ResultChan() <-chan watch.Event { return w.events }
func (w *watcher) Stop()                          { w.stopOnce.Do(func() { close(w.stopped) }) }

func (w *watcher) run(ctx context.Context) {
	defer close(w.events)
	ticker := time.NewTicker(bookmarkPeriod)
	defer ticker.Stop()
	// Who asks for no bookmarks is not told where the beginning ends: a watch
	// without a version asks for initial events, but not for their end.
	initial := w.opts.InitialEvents && w.opts.Bookmarks
	for {
		shots, at, wake, err := w.take()
		if err != nil {
			w.send(ctx, watch.Event{Type: watch.Error, Object: statusOf(err)})
			return
		}
		for _, s := range shots {
			if event, ok := w.event(s); ok && !w.send(ctx, event) {
				return
			}
		}
		if len(shots) == watchBatch {
			continue
		}
		if initial && w.from >= w.initialUntil {
			initial = false
			if !w.send(ctx, w.bookmark(at, true)) {
				return
			}
		}
		select {
		case <-wake:
		case <-ticker.C:
			if w.opts.Bookmarks && !w.send(ctx, w.bookmark(at, false)) {
				return
			}
		case <-ctx.Done():
			return
		case <-w.stopped:
			return
		}
	}
}

// take collects the next changes, and the channel that tells of further ones.
// Everything up to at is covered when fewer than a batch are returned.
func (w *watcher) take() (shots []shot, at version, wake <-chan struct{}, err error) {
	w.p.mu.RLock()
	defer w.p.mu.RUnlock()
	views, err := w.p.viewsOf(w.cluster)
	if err != nil {
		return nil, 0, nil, err
	}
	wake = w.p.anyView
	if w.cluster != "" {
		wake = views[0].wake
	}
	order := w.opts.order()
	// What was deleted before the beginning concerns nobody who starts there.
	if w.p.horizonOf(w.cluster, views) > max(w.from, w.initialUntil) {
		return nil, 0, nil, apierrors.NewResourceExpired("too many deletions since the last event; list again")
	}
	for _, v := range views {
		for _, e := range v.since(w.from, order, watchBatch) {
			shots = append(shots, w.p.snapshot(v, e, order))
		}
	}
	slices.SortFunc(shots, func(a, b shot) int { return cmp.Compare(a.changed, b.changed) })
	if len(shots) > watchBatch {
		shots = shots[:watchBatch]
	}
	at = w.p.counter
	if len(shots) == watchBatch {
		at = shots[len(shots)-1].changed
	}
	seen := w.from
	w.from = at
	for i := range shots {
		// Within the beginning everything may be new to the client, whenever it
		// was created.
		shots[i].new = shots[i].created > seen || seen < w.initialUntil
	}
	return shots, at, wake, nil
}

func (w *watcher) event(s shot) (watch.Event, bool) {
	if w.opts.Name != "" && s.name != w.opts.Name {
		return watch.Event{}, false
	}
	if s.deleted != nil {
		if s.new && s.created > w.initialUntil || s.changed <= w.initialUntil {
			return watch.Event{}, false // came and went unseen
		}
	}
	work := w.p.render(s)
	switch {
	case s.deleted != nil:
		return watch.Event{Type: watch.Deleted, Object: work}, true
	case s.new:
		return watch.Event{Type: watch.Added, Object: work}, true
	default:
		return watch.Event{Type: watch.Modified, Object: work}, true
	}
}

func (w *watcher) bookmark(at version, initial bool) watch.Event {
	work := &workv1alpha1.Work{
		TypeMeta:   metav1.TypeMeta{APIVersion: workv1alpha1.GroupVersion.String(), Kind: workv1alpha1.ResourceKindWork},
		ObjectMeta: metav1.ObjectMeta{ResourceVersion: formatVersion(w.p.epoch, at)},
	}
	if initial {
		work.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return watch.Event{Type: watch.Bookmark, Object: work}
}

func (w *watcher) send(ctx context.Context, event watch.Event) bool {
	select {
	case w.events <- event:
		return true
	case <-ctx.Done():
	case <-w.stopped:
	}
	return false
}

func statusOf(err error) *metav1.Status {
	if status, ok := err.(apierrors.APIStatus); ok {
		s := status.Status()
		return &s
	}
	s := apierrors.NewInternalError(err).Status()
	return &s
}
