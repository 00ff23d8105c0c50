package apply

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

func keyOf(kind schema.GroupVersionKind, namespace, name string) inventory.Key {
	return inventory.Key{Group: kind.Group, Kind: kind.Kind, Namespace: namespace, Name: name}
}

// observe takes in a live object that passed by. It compares outside the lock and keeps only a view.
func (e *Engine) observe(kind schema.GroupVersionKind, live *unstructured.Unstructured) {
	key := keyOf(kind, live.GetNamespace(), live.GetName())
	e.mu.Lock()
	o := e.objects[key]
	if o == nil || o.desired == nil || o.desired.Version != kind.Version || o.stale(live) {
		e.mu.Unlock()
		return
	}
	desired, accepted := o.desired, o.accepted
	e.mu.Unlock()

	seen := e.look(desired, accepted, live)
	e.change(func() {
		o := e.objects[key]
		if o == nil || o.desired != desired || o.stale(live) {
			return // an apply is on its way, and its answer brings a newer view
		}
		changed := o.live == nil || o.live.print != seen.print
		o.live = seen
		switch {
		case o.failed():
			if changed {
				e.enqueueFresh(key) // what was in the way may be gone
			}
		case o.next(true) != actNothing:
			e.enqueue(key)
		}
		for _, name := range o.claims {
			e.report(e.works[name])
		}
	})
}

// stale tells whether a newer state of the same object was seen already.
func (o *object) stale(live *unstructured.Unstructured) bool {
	return o.live != nil && o.live.uid == live.GetUID() && compareVersions(live.GetResourceVersion(), o.live.resourceVersion) < 0
}

// look compares and reflects a live object.
func (e *Engine) look(desired *Desired, accepted string, live *unstructured.Unstructured) *view {
	seen := &view{
		uid:             live.GetUID(),
		resourceVersion: live.GetResourceVersion(),
		terminating:     live.GetDeletionTimestamp() != nil,
		ours:            marked(live, desired.Work, e.opts.Namespace, e.federations()),
	}
	expected, err := desired.expected()
	switch {
	case err != nil:
		seen.inSync = true // nothing to compare with; the apply reports it
	case Subset(expected, live.Object):
		seen.inSync = true
	default:
		seen.print = Fingerprint(expected, live.Object)
		seen.inSync = accepted != "" && seen.print == accepted
	}
	live.SetManagedFields(nil)
	// An object that cannot be interpreted is applied all the same; its status stays unknown.
	if status, err := e.opts.Interpreter.ReflectStatus(live); err == nil {
		seen.status = status
	}
	seen.health = healthUnknown
	if health, err := e.opts.Interpreter.Health(live); err == nil && health != "" {
		seen.health = string(health)
	}
	return seen
}

// gone takes in that an object is no longer there, or no longer carries our label.
func (e *Engine) gone(kind schema.GroupVersionKind, namespace, name string, uid types.UID) {
	key := keyOf(kind, namespace, name)
	e.change(func() {
		o := e.objects[key]
		if o == nil || o.desired == nil || o.live == nil || o.live.uid != uid {
			return
		}
		o.live = nil
		e.enqueue(key)
	})
}

// replaced takes in a full list of a kind: what is not in it is not there.
func (e *Engine) replaced(kind schema.GroupVersionKind, list []*unstructured.Unstructured, version string) {
	present := make(map[inventory.Key]bool, len(list))
	for _, live := range list {
		present[keyOf(kind, live.GetNamespace(), live.GetName())] = true
		e.observe(kind, live)
	}
	e.change(func() {
		if w := e.watches[kind]; w != nil {
			w.synced = true
		}
		for key, o := range e.objects {
			if present[key] || o.desired == nil || o.desired.GroupVersionKind() != kind {
				continue
			}
			if o.live == nil || compareVersions(o.live.resourceVersion, version) <= 0 {
				o.live = nil
				e.enqueue(key)
			}
		}
	})
}
