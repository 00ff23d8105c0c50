package apply

import (
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// applied takes in what became of an attempt to apply desired. refreshes is how often the member's kinds had
// been read when it began.
func (e *Engine) applied(key inventory.Key, desired *Desired, result applyResult, err error, refreshes uint64, repair bool) {
	var seen *view
	if err == nil && result.live != nil {
		seen = e.look(desired, "", result.live)
	}
	e.change(func() {
		defer e.unpark(key)
		o := e.objects[key]
		if result.ahead {
			if e.listed {
				e.enqueue(key) // it is known by now what is wanted
			}
			return
		}
		if o == nil || o.desired == nil {
			if o != nil && seen != nil {
				o.uid = seen.uid // it is there, and being removed
			}
			return
		}
		if repair {
			o.repairs.done(e.opts.Clock.Now())
		}
		switch {
		case err == nil:
			e.Applied.Add(1)
			e.backoff.Forget(key)
			e.applySucceeded(o, desired, result, seen)
		case errors.Is(err, ErrUnknownKind) && o.hash == desired.Hash && !e.missingTwice(o, refreshes):
			e.retry(key) // it stays applied until that is sure
		default:
			e.applyFailed(o, desired, err)
		}
		if o.desired != desired {
			e.enqueue(key)
		}
		for _, name := range o.claims {
			e.save(name)
			e.report(e.works[name])
		}
		if key.GroupKind() == crdKind {
			e.opts.Kinds.Refresh()
		}
	})
}

func (e *Engine) applySucceeded(o *object, desired *Desired, result applyResult, seen *view) {
	o.hash = desired.Hash
	o.verdict = &verdict{hash: desired.Hash}
	o.failures, o.missing = 0, 0
	o.unmanaged, o.recheck = result.unmanaged, false
	if o.key.GroupKind() == namespaceKind {
		e.retryIn(o.key.Name)
	}
	if seen == nil {
		o.accepted, o.live, o.uid = "", nil, ""
		return
	}
	o.uid = seen.uid
	// What still differs after the member took the manifest is how the member writes it.
	o.accepted = seen.print
	switch {
	case seen.newerThan(o.live):
		seen.inSync = true
		o.live = seen
	case !o.live.inSync:
		// The watch was faster than the answer and could not know what is accepted.
		o.live.inSync = o.live.print == seen.print
		if !o.live.inSync {
			e.enqueue(o.key)
		}
	}
}

func (e *Engine) applyFailed(o *object, desired *Desired, err error) {
	e.Failed.Add(1)
	o.failures++
	failure := &ObjectError{Reason: ReasonFailed, Message: err.Error(), cause: err}
	errors.As(err, &failure)
	o.verdict = &verdict{hash: desired.Hash, failure: failure}
	e.retry(o.key)
	if errors.Is(err, ErrUnknownKind) {
		o.live = nil // nobody watches it: what was seen of it grows old
	}
	if failure.Reason == ReasonNamespaceMissing {
		e.recheckNamespace(o.key)
	}
}

// retry queues an object for later.
func (e *Engine) retry(key inventory.Key) {
	e.queue.AddAfter(key, wait.Jitter(e.backoff.When(key), 0.2))
}

// recheckNamespace looks again at a namespace that was there when it was last looked at.
func (e *Engine) recheckNamespace(key inventory.Key) {
	namespace, _ := namespaceOf(key)
	if n := e.objects[namespace]; n != nil && n.unmanaged && !n.recheck {
		n.recheck = true
		e.enqueueFresh(namespace)
	}
}

// retryIn tries the objects of a namespace again that could not be applied.
func (e *Engine) retryIn(namespace string) {
	for key, o := range e.objects {
		if key.Namespace == namespace && o.failed() {
			e.enqueueFresh(key)
		}
	}
}

// removed takes in what became of an attempt to remove, like applied.
func (e *Engine) removed(key inventory.Key, removal removeRequest, err error, refreshes uint64) {
	e.change(func() {
		o := e.objects[key]
		if o == nil || o.removal == nil || *o.removal != removal {
			e.enqueue(key) // wanted again meanwhile
			return
		}
		switch {
		case !errors.Is(err, errKindMissing):
			o.missing = 0
		case e.missingTwice(o, refreshes):
			err = nil // the objects went with their kind
		}
		if err != nil {
			e.Failed.Add(1)
			e.retry(key)
			return
		}
		e.Removed.Add(1)
		e.backoff.Forget(key)
		delete(e.objects, key)
		if w := e.works[removal.work]; w != nil {
			delete(w.leftovers, key)
			e.save(w.name)
			e.forget(w)
		}
	})
}

// unpark queues what waited for an object to be tried.
func (e *Engine) unpark(key inventory.Key) {
	if waiting, ok := e.parked[key]; ok {
		delete(e.parked, key)
		slices.SortFunc(waiting, compareForApply)
		e.pending = append(e.pending, slices.Compact(waiting)...)
	}
}
