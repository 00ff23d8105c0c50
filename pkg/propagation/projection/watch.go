package projection

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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
	// Labels restricts to Works with such labels, nil for all. Labels are known
	// without rendering, so what they leave out costs next to nothing.
	Labels labels.Selector
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

// selects says whether a list or watch sees an entry.
func (o WatchOptions) selects(e *entry) bool {
	return (o.Name == "" || o.Name == e.name) && (o.Labels == nil || o.Labels.Empty() || o.Labels.Matches(e.labels()))
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
		w.initialUntil, w.whole = p.counter, p.counter
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
	// whole is the last version that the watcher was told all of at once, 0 when it
	// has gone on from one in between: an entry that has changed again since may have
	// changed before that version, too, without a word.
	whole    version
	events   chan watch.Event
	stopOnce sync.Once
	stopped  chan struct{}
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
		happenings, at, more, wake, err := w.take()
		if err != nil {
			w.send(ctx, watch.Event{Type: watch.Error, Object: statusOf(err)})
			return
		}
		for _, h := range happenings {
			if !w.send(ctx, watch.Event{Type: h.what, Object: w.p.renderFor(h)}) {
				return
			}
		}
		if more {
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

// happening is what a watcher is told of an entry.
type happening struct {
	shot
	what watch.EventType
}

// take collects the next changes that the watcher sees, and the channel that
// tells of further ones. Everything up to at is covered; there may be more after
// it already.
func (w *watcher) take() (out []happening, at version, more bool, wake <-chan struct{}, err error) {
	w.p.mu.RLock()
	defer w.p.mu.RUnlock()
	views, err := w.p.viewsOf(w.cluster)
	if err != nil {
		return nil, 0, false, nil, err
	}
	wake = w.p.anyView
	if w.cluster != "" {
		wake = views[0].wake
	}
	order := w.opts.order()
	// What was deleted before the beginning concerns nobody who starts there.
	if w.p.horizonOf(w.cluster, views) > max(w.from, w.initialUntil) {
		return nil, 0, false, nil, apierrors.NewResourceExpired("too many deletions since the last event; list again")
	}
	type change struct {
		view  *view
		entry *entry
	}
	var changes []change
	for _, v := range views {
		for _, e := range v.since(w.from, order, watchBatch) {
			changes = append(changes, change{v, e})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.entry.changed[order], b.entry.changed[order]) })
	at = w.p.counter
	if more = len(changes) >= watchBatch; more {
		changes = changes[:watchBatch]
		at = changes[watchBatch-1].entry.changed[order]
	}
	for _, c := range changes {
		if what, tell := w.judge(c.entry); tell {
			out = append(out, happening{w.p.snapshot(c.view, c.entry, order), what})
		}
	}
	if w.from = at; !more {
		w.whole = at
	}
	return out, at, more, wake, nil
}

// judge says what the watcher is to be told of an entry that changed, if
// anything. Callers hold mu.
func (w *watcher) judge(e *entry) (watch.EventType, bool) {
	// Within the beginning everything may be new to the client, whenever it was
	// created, but what came later has not been seen for certain.
	known := max(w.from, w.initialUntil)
	isNew := e.created > w.from || w.from < w.initialUntil
	if !w.opts.selects(e) {
		// What has other labels since the client last saw all may be known to it.
		relabelled := e.created <= known && e.labelled > max(e.created, w.whole)
		return watch.Deleted, relabelled && (w.opts.Name == "" || w.opts.Name == e.name)
	}
	switch {
	case e.deleted:
		unseen := isNew && e.created > w.initialUntil || e.changed[w.opts.order()] <= w.initialUntil
		return watch.Deleted, !unseen
	case isNew:
		return watch.Added, true
	default:
		return watch.Modified, true
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
