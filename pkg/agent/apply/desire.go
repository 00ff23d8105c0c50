package apply

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// work is one work and what it wants.
type work struct {
	name      string
	uid       types.UID
	manifests []json.RawMessage
	// objects that the manifests name, in the work's order.
	objects []inventory.Object
	// leftovers are objects of earlier manifests that are not yet gone, with their version.
	leftovers map[inventory.Key]string
	suspended bool
	preserve  bool
	removed   bool
	// incomplete works have bad manifests: what they named before stays.
	incomplete bool
	// muted works are kept as they are, and nothing is reported about them.
	muted bool
	// held works are muted, and remembered to wait for a person.
	held bool
	// bad are the manifests that name no object.
	bad []error
}

// Restore takes over the inventory of an earlier run. Call it once, before Run.
func (e *Engine) Restore(records []*inventory.Record) {
	e.change(func() {
		// An object that two works want belongs to the one that had applied it.
		for _, record := range records {
			e.restore(record, func(o inventory.Object) bool { return o.Hash != "" })
		}
		for _, record := range records {
			e.restore(record, func(o inventory.Object) bool { return o.Hash == "" })
		}
	})
}

func (e *Engine) restore(record *inventory.Record, match func(inventory.Object) bool) {
	w := e.works[record.Name]
	if w == nil {
		w = &work{leftovers: map[inventory.Key]string{}}
		w.take(record, nil)
		w.removed = record.Removed
		e.works[w.name] = w
	}
	for i, listed := range record.Objects {
		if !match(listed) {
			continue
		}
		if i >= len(record.Manifests) || record.Removed {
			w.leftovers[listed.Key] = listed.Version
			o := e.object(listed.Key)
			if len(o.claims) == 0 && w.prunes() {
				o.uid = listed.UID
				o.removal = &removeRequest{key: listed.Key, version: listed.Version, work: w.name, preserve: w.preserve}
				e.enqueue(listed.Key)
			}
			continue
		}
		o := e.object(listed.Key)
		if len(o.claims) == 0 {
			o.hash, o.accepted, o.uid, o.unmanaged = listed.Hash, listed.Accepted, listed.UID, listed.Unmanaged
			o.recheck = o.unmanaged
			if o.hash != "" {
				o.verdict = &verdict{hash: o.hash}
			}
		}
		e.claim(w, listed, record.Manifests[i])
	}
}

// Set makes a work want what a record says. bad are manifests that could not be read.
func (e *Engine) Set(record *inventory.Record, bad []error) {
	e.change(func() { e.set(record, bad) })
}

// Remove deletes what a work brought, or releases it if the work said so. It is agreed: it goes on after
// a restart.
func (e *Engine) Remove(name string) {
	e.change(func() { e.remove(name) })
}

// Release is Remove for a work that said in the end to preserve what it brought.
func (e *Engine) Release(name string) {
	e.change(func() {
		if w := e.works[name]; w != nil {
			w.preserve = true
		}
		e.remove(name)
	})
}

// Sync carries out a plan in one go.
func (e *Engine) Sync(plan inventory.Plan, bad map[string][]error) {
	e.change(func() {
		for _, name := range plan.Same {
			if w := e.works[name]; w != nil && w.muted {
				w.muted, w.held = false, false
				e.save(name)
				e.report(w)
			}
		}
		for _, record := range plan.Set {
			e.set(record, bad[record.Name])
		}
		for _, name := range plan.Gone {
			e.remove(name)
		}
		if !e.listed {
			e.listed = true
			for key := range e.objects {
				e.enqueue(key)
			}
		}
	})
}

// Keep leaves a work as it is, in force, and stops reporting about it. Set and Sync undo that.
func (e *Engine) Keep(name string) { e.keep(name, false) }

// Hold is Keep for a work that waits for a person, also across a restart.
func (e *Engine) Hold(name string) { e.keep(name, true) }

func (e *Engine) keep(name string, held bool) {
	e.change(func() {
		w := e.works[name]
		if w == nil || w.removed {
			return
		}
		if w.held != held {
			e.save(name)
		}
		if !w.muted {
			e.opts.Report(Observation{Work: name, Gone: true}) // the next report is told, whatever it says
		}
		w.muted, w.held = true, held
	})
}

// RemoveOrphan deletes an object that is ours, see Owns, but that no work of ours knows.
func (e *Engine) RemoveOrphan(orphan inventory.Object, work string) {
	e.change(func() {
		o := e.object(orphan.Key)
		if len(o.claims) > 0 || o.removal != nil {
			return
		}
		o.removal = &removeRequest{key: orphan.Key, version: orphan.Version, work: work, orphan: orphan.UID}
		e.enqueueFresh(orphan.Key)
	})
}

// Owns tells whether it was this agent who brought an object, whatever its labels and annotations say.
func (e *Engine) Owns(object metav1.Object) bool {
	return appliedByUs(object) && e.federations().foreign(object) == ""
}

// Mirrors tells whether an object is one that a work wants, seen through another API group: API servers
// serve some objects in several.
func (e *Engine) Mirrors(key inventory.Key, uid types.UID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for other, o := range e.objects {
		switch {
		case other == key || len(o.claims) == 0:
		case o.uid != "" && o.uid == uid:
			return true
		case o.uid == "" && other.Kind == key.Kind && other.Namespace == key.Namespace && other.Name == key.Name:
			return true // it may turn out to be
		}
	}
	return false
}

// Records returns a copy of the inventory.
func (e *Engine) Records() []*inventory.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*inventory.Record, 0, len(e.works))
	for _, w := range e.works {
		out = append(out, e.record(w))
	}
	slices.SortFunc(out, func(a, b *inventory.Record) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Remaining are the works whose names begin with a prefix and of which something may still be in the
// member, sorted; held tells whether one of them waits for a person.
func (e *Engine) Remaining(prefix string) (works []string, held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, w := range e.works {
		if strings.HasPrefix(name, prefix) {
			works = append(works, name)
			held = held || w.held
		}
	}
	slices.Sort(works)
	return works, held
}

// Claimed tells whether any work wants an object, or its removal is under way.
func (e *Engine) Claimed(key inventory.Key) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.objects[key]
	return o != nil && !o.idle()
}

func (e *Engine) set(record *inventory.Record, bad []error) {
	w := e.works[record.Name]
	if w == nil {
		w = &work{leftovers: map[inventory.Key]string{}}
		e.works[record.Name] = w
	} else if !w.muted && !w.incomplete && inventory.SameDesire(w.desire(), record) {
		return // an event about something else, such as the work's status
	}
	before := w.objects
	w.take(record, bad)
	for i, wanted := range w.objects {
		e.claim(w, wanted, w.manifests[i])
	}
	for _, old := range before {
		if !slices.ContainsFunc(w.objects, func(o inventory.Object) bool { return o.Key == old.Key }) {
			w.leftovers[old.Key] = old.Version
		}
	}
	if w.prunes() {
		e.releaseLeftovers(w)
	} else {
		for key := range w.leftovers {
			if o := e.objects[key]; o != nil {
				o.suspended = w.suspended
			}
		}
	}
	e.save(w.name)
	e.report(w)
}

// desire is the part of the record that says what is wanted.
func (w *work) desire() *inventory.Record {
	return &inventory.Record{
		Name: w.name, UID: w.uid, Manifests: w.manifests,
		Suspended: w.suspended, Preserve: w.preserve, Removed: w.removed, Incomplete: w.incomplete, Held: w.held,
	}
}

// prunes tells whether objects that the work does not name any more go.
func (w *work) prunes() bool { return w.removed || !w.suspended && !w.incomplete }

func (w *work) take(record *inventory.Record, bad []error) {
	w.name, w.uid = record.Name, record.UID
	w.manifests = record.Manifests
	w.objects = slices.Clone(record.Objects[:min(len(record.Objects), len(record.Manifests))])
	w.suspended, w.preserve, w.incomplete = record.Suspended, record.Preserve, record.Incomplete
	w.removed, w.muted, w.held = false, record.Held, record.Held
	w.bad = bad
}

func (e *Engine) remove(name string) {
	w := e.works[name]
	if w == nil || w.removed {
		return
	}
	for _, o := range w.objects {
		w.leftovers[o.Key] = o.Version
	}
	w.objects, w.manifests, w.bad = nil, nil, nil
	w.removed, w.muted, w.held, w.incomplete = true, false, false, false
	e.opts.Report(Observation{Work: name, Gone: true})
	e.releaseLeftovers(w)
	e.save(name)
}

// claim registers that w wants an object.
func (e *Engine) claim(w *work, wanted inventory.Object, raw json.RawMessage) {
	delete(w.leftovers, wanted.Key)
	o := e.object(wanted.Key)
	if o.removal != nil {
		if other := e.works[o.removal.work]; other != nil {
			delete(other.leftovers, wanted.Key)
			e.save(other.name)
		}
		o.removal, o.missing = nil, 0
	}
	if !slices.Contains(o.claims, w.name) {
		o.claims = append(o.claims, w.name)
	}
	if o.claims[0] == w.name {
		e.desire(o, w, NewDesired(w.name, wanted, raw))
	}
}

// desire sets what is wanted of an object; nil when nothing is.
func (e *Engine) desire(o *object, w *work, desired *Desired) {
	old := o.desired
	if desired != nil && (old == nil || old.Version != desired.Version) {
		e.want(desired.GroupVersionKind(), +1)
	}
	if old != nil && (desired == nil || old.Version != desired.Version) {
		e.want(old.GroupVersionKind(), -1)
	}
	if desired == nil {
		o.desired, o.live, o.verdict, o.suspended = nil, nil, nil, false
		e.unpark(o.key)
		return
	}
	same := o.desired != nil && o.desired.Hash == desired.Hash && o.suspended == w.suspended && o.desired.Work == desired.Work
	if o.desired != nil && o.desired.Version != desired.Version {
		o.live = nil // seen through another version's watch
	}
	o.suspended = w.suspended
	if same {
		return // the pointer stays, and with it what was compared
	}
	o.desired = desired
	e.enqueueFresh(o.key)
}

// releaseLeftovers lets go of the objects that w named once: to the next work that wants them, or
// out of the member.
func (e *Engine) releaseLeftovers(w *work) {
	for key, version := range w.leftovers {
		o := e.object(key)
		held := len(o.claims) > 0 && o.claims[0] == w.name
		o.unclaim(w.name)
		switch {
		case len(o.claims) > 0:
			delete(w.leftovers, key)
			if held {
				e.inherit(o)
			}
		case o.unmanaged:
			delete(w.leftovers, key)
			e.desire(o, nil, nil)
			delete(e.objects, key)
		default:
			e.desire(o, nil, nil)
			o.hash, o.accepted = "", "" // should it be wanted again, it has to be applied again
			o.missing = 0
			o.removal = &removeRequest{key: key, version: version, work: w.name, preserve: w.preserve}
			e.enqueueFresh(key)
		}
	}
	e.forget(w)
}

// inherit gives an object to the next work that claims it.
func (e *Engine) inherit(o *object) {
	next := e.works[o.claims[0]]
	for i, wanted := range next.objects {
		if wanted.Key == o.key {
			e.desire(o, next, NewDesired(next.name, wanted, next.manifests[i]))
			e.report(next)
			return
		}
	}
}

// forget drops a removed work that has nothing left in the member.
func (e *Engine) forget(w *work) {
	if w.removed && len(w.leftovers) == 0 {
		delete(e.works, w.name)
		e.save(w.name)
	}
}

func (e *Engine) object(key inventory.Key) *object {
	o := e.objects[key]
	if o == nil {
		o = &object{key: key}
		e.objects[key] = o
	}
	return o
}

func (e *Engine) want(kind schema.GroupVersionKind, delta int) {
	e.wanted[kind] += delta
	if e.wanted[kind] == 0 {
		delete(e.wanted, kind)
		wake(e.wakeWatches)
	} else if e.wanted[kind] == 1 && delta > 0 {
		wake(e.wakeWatches)
	}
}

// Counts are the numbers of works and of objects in the inventory.
func (e *Engine) Counts() (works, objects int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.works), len(e.objects)
}
