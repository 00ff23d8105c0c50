package apply

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
	"github.com/flotilla-io/flotilla/pkg/notfound"
)

// Kinds come and go, and so do their versions: an object of a version that is not served any more is still
// there, in another one. What the member serves is known a little late, and is wrong now and then.

// errKindMissing means that the member does not seem to serve the kind of what is to be removed.
var errKindMissing = errors.New("the kind is not served any more")

// failure is why a request failed. When its path was missing, the kinds are read anew.
func (a *applier) failure(err error, key inventory.Key) *ObjectError {
	if !notfound.Path(err) {
		return describe(err, key, a.cluster)
	}
	a.kinds.Refresh()
	return &ObjectError{
		Reason:    ReasonUnknownKind,
		Message:   fmt.Sprintf("%s: cluster %s lists kind %s, but knows no path for it: %v. What it serves is read anew, and this is tried again", key, a.cluster, key.Kind, err),
		Transient: true,
		cause:     fmt.Errorf("%w: %w", ErrUnknownKind, err),
	}
}

// serving finds where an object that is to be removed is served: in the version in which it was applied, or
// in any.
func (a *applier) serving(request removeRequest) (kinds.Resource, error) {
	resource, ok := a.kinds.Lookup(request.key.GroupKind().WithVersion(request.version))
	snapshot := a.kinds.Snapshot()
	if !ok {
		resource, ok = snapshot.AnyVersion(request.key.GroupKind())
	}
	var err error
	switch {
	case !ok && !snapshot.Complete:
		err = fmt.Errorf("%s: cluster %s cannot tell whether it serves kind %s: %w", request.key, a.cluster, request.key.Kind, ErrUnknownKind)
	case !ok, !possible(request.key, resource):
		err = fmt.Errorf("%s: %w", request.key, errKindMissing)
	default:
		return resource, nil
	}
	return kinds.Resource{}, &ObjectError{Reason: ReasonUnknownKind, Message: err.Error(), Transient: true, cause: err}
}

// possible tells whether a kind can have an object of that namespace and name. Manifests may name others,
// and no server has a path for them.
func possible(key inventory.Key, resource kinds.Resource) bool {
	return resource.Namespaced == (key.Namespace != "") &&
		len(content.IsPathSegmentName(key.Name)) == 0 && len(content.IsPathSegmentName(key.Namespace)) == 0
}

// unserved tells whether the manifest of an object is written in a version that the member does not serve.
// Called under the lock.
func (e *Engine) unserved(o *object) bool {
	snapshot := e.opts.Kinds.Snapshot()
	return snapshot != nil && o.desired != nil && !o.suspended && snapshot.Lacks(o.desired.GroupVersionKind())
}

// missingTwice takes in that an attempt found an object's kind missing. It tells whether an earlier attempt did
// and the member's kinds were read between the two, which refreshes before this attempt tell: what they say
// twice is so. Called under the lock.
func (e *Engine) missingTwice(o *object, refreshes uint64) bool {
	e.opts.Kinds.Refresh()
	if o.missing == 0 {
		o.missing = e.opts.Kinds.Refreshes()
		return false
	}
	return refreshes > o.missing
}
