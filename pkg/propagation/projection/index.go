package projection

import (
	"k8s.io/apimachinery/pkg/labels"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// order is one of the two sequences entries are kept in.
type order int

const (
	// bySpec follows changes of what is to be applied; agents watch it.
	bySpec order = iota
	// byLatest follows every change, reported status included.
	byLatest
	orders
)

// entry is one Work of one cluster.
type entry struct {
	name string
	src  *source            // of a computed Work
	work *workv1alpha1.Work // a stored Work

	// created is the version of the entry's appearance; changed[o] that of its
	// last change in order o.
	created version
	changed [orders]version
	// labelled is the version of the last change of its labels, or of its
	// appearance.
	labelled version
	// hash and status sum up what is to be applied and what was reported.
	hash, status uint64
	// report is what the cluster said of a namespace, which has no binding to
	// keep it in, or of a stub, which is no part of its binding's status. It lasts
	// as long as the process: agents say it again.
	report *workv1alpha2.AggregatedStatusItem

	deleted bool
	// stub says that the cluster has no share and calls one that has.
	stub bool
	last *workv1alpha1.Work // of a deleted entry: what watchers are told

	links [orders]struct{ prev, next *entry }
}

// view is what one cluster sees: entries by name, and in the order of their
// changes. Deleted entries stay in the order as tombstones, the oldest are
// dropped.
type view struct {
	cluster *clusterv1alpha1.Cluster
	// traits sums up what selectors see of the cluster.
	traits     uint64
	entries    map[string]*entry
	head, tail [orders]*entry
	tombstones int
	// horizon is the version of the newest tombstone that was dropped: a watch
	// from before it may have missed a deletion.
	horizon version
	// wake is closed when something changes, and replaced.
	wake chan struct{}
}

// maxTombstones bounds the deletions remembered per cluster.
const maxTombstones = 4096

func newView(cluster *clusterv1alpha1.Cluster) *view {
	return &view{cluster: cluster, entries: map[string]*entry{}, wake: make(chan struct{})}
}

func (v *view) add(e *entry, at version) {
	e.created, e.labelled = at, at
	v.entries[e.name] = e
	for o := range orders {
		e.changed[o] = at
		v.pushBack(e, o)
	}
	v.notify()
}

// change records a change of what is to be applied, which is a change in both
// orders, or of status alone.
func (v *view) change(e *entry, at version, spec bool) {
	v.move(e, byLatest, at)
	if spec {
		v.move(e, bySpec, at)
	}
	v.notify()
}

// remove turns e into a tombstone, and returns the version of the newest one
// that was forgotten for it, 0 when none was.
func (v *view) remove(e *entry, at version, last *workv1alpha1.Work) (forgotten version) {
	delete(v.entries, e.name)
	e.deleted, e.last, e.src, e.work = true, last, nil, nil
	v.change(e, at, true)
	v.tombstones++
	for cursor := v.head[byLatest]; v.tombstones > maxTombstones && cursor != nil; {
		next := cursor.links[byLatest].next
		if cursor.deleted {
			forgotten = cursor.changed[byLatest]
			v.horizon = max(v.horizon, forgotten)
			for o := range orders {
				v.unlink(cursor, o)
			}
			v.tombstones--
		}
		cursor = next
	}
	return forgotten
}

// since returns up to limit entries that changed after from, oldest first.
func (v *view) since(from version, o order, limit int) []*entry {
	first := v.tail[o]
	if first == nil || first.changed[o] <= from {
		return nil
	}
	for first.links[o].prev != nil && first.links[o].prev.changed[o] > from {
		first = first.links[o].prev
	}
	var out []*entry
	for e := first; e != nil && len(out) < limit; e = e.links[o].next {
		out = append(out, e)
	}
	return out
}

// labels are those of the Work; it need not be rendered for them.
func (e *entry) labels() labels.Set {
	switch {
	case e.deleted:
		return e.last.Labels
	case e.work != nil:
		return e.work.Labels
	case e.src.binding != nil:
		return workLabels(e.src.binding, e.stub)
	default:
		return nil
	}
}

func (v *view) notify() {
	close(v.wake)
	v.wake = make(chan struct{})
}

func (v *view) move(e *entry, o order, at version) {
	e.changed[o] = at
	v.unlink(e, o)
	v.pushBack(e, o)
}

func (v *view) pushBack(e *entry, o order) {
	e.links[o].prev, e.links[o].next = v.tail[o], nil
	if v.tail[o] != nil {
		v.tail[o].links[o].next = e
	} else {
		v.head[o] = e
	}
	v.tail[o] = e
}

func (v *view) unlink(e *entry, o order) {
	l := &e.links[o]
	if l.prev != nil {
		l.prev.links[o].next = l.next
	} else {
		v.head[o] = l.next
	}
	if l.next != nil {
		l.next.links[o].prev = l.prev
	} else {
		v.tail[o] = l.prev
	}
	l.prev, l.next = nil, nil
}
