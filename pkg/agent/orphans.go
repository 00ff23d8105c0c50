package agent

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

// scanner finds objects with our marks that no work knows: what an agent left behind that lost its
// state directory, or died between an apply and writing it down.
type scanner struct {
	namespace string
	kinds     *kinds.Kinds
	scan      func(context.Context, kinds.Resource, func(*metav1.PartialObjectMetadata)) error
	// owns tells whether it was us who brought an object.
	owns func(metav1.Object) bool
}

const (
	scanAttempts = 5
	scanRetry    = 10 * time.Second
)

// find reads the metadata of every kind's managed objects, once. Kinds that fail are tried again a
// few times; what is not found then waits for the next start.
func (s *scanner) find(ctx context.Context) []orphan {
	var found []orphan
	missing := s.kinds.Snapshot().Listable()
	for attempt := 0; len(missing) > 0 && attempt < scanAttempts; attempt++ {
		if attempt > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(scanRetry):
			}
		}
		var failed []kinds.Resource
		for _, resource := range missing {
			if ctx.Err() != nil {
				return nil
			}
			err := s.scan(ctx, resource, func(object *metav1.PartialObjectMetadata) {
				if o, ok := s.orphanOf(resource, object); ok {
					found = append(found, o)
				}
			})
			if apierrors.IsForbidden(err) {
				continue // nothing of it can be ours without the right to make it
			}
			if err != nil {
				klog.FromContext(ctx).V(1).Info("Cannot look for orphans", "resource", resource.GroupVersionResource.String(), "err", err)
				failed = append(failed, resource)
			}
		}
		missing = failed
	}
	return found
}

// orphanOf reads the marks. They travel: objects that a controller made carry copies of their owner's,
// and so do objects that people made from one of ours. Those are not ours.
func (s *scanner) orphanOf(resource kinds.Resource, object *metav1.PartialObjectMetadata) (orphan, bool) {
	work := object.Annotations[names.WorkNameAnnotation]
	if work == "" || object.Annotations[names.WorkNamespaceAnnotation] != s.namespace ||
		metav1.GetControllerOf(object) != nil || object.DeletionTimestamp != nil || !s.owns(object) {
		return orphan{}, false
	}
	return orphan{work: work, made: object.CreationTimestamp.Time, Object: inventory.Object{
		Key:     inventory.Key{Group: resource.Group, Kind: resource.Kind, Namespace: object.Namespace, Name: object.Name},
		Version: resource.Version,
		UID:     object.UID,
	}}, true
}

// orphans takes in what a scan found: what no work of the federation accounts for is deleted, or held
// if it is too much of all there is or was left by an earlier stay of the cluster in the federation.
// present are the works of a list that was read after the one that was taken in: one that only it has
// is on its way. What belonged to a work that was taken away since is none: it may be gone by now.
func (i *intake) orphans(found []orphan, present map[string]bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer i.seal()
	// Some objects are served by several API groups: an orphan in one may be wanted in another.
	wanted := map[types.UID]bool{}
	for _, o := range found {
		if i.engine.Claimed(o.Key) {
			wanted[o.UID] = true
		}
	}
	doomed := map[inventory.Key]orphan{}
	left := false
	for _, o := range found {
		prunes, listed := i.listed[o.work]
		if i.ended[o.work] || listed && !prunes || !listed && present[o.work] || wanted[o.UID] || i.engine.Mirrors(o.Key, o.UID) {
			continue
		}
		doomed[o.Key] = o
		left = left || i.stay.precedes(o.made)
	}
	total := len(doomed)
	for _, record := range i.engine.Records() {
		total += len(record.Objects)
	}
	if left || i.guard.Holds(len(doomed)+i.hold.count(), total) {
		i.hold.orphans = doomed
		i.onHold()
		return
	}
	for _, o := range doomed {
		i.engine.RemoveOrphan(o.Object, o.work)
	}
}

// scanned ends the scan for orphans.
func (i *intake) scanned() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = nil
}
