package scheduler

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// enqueue adds a binding. All wait in the order in which they came: the priority
// of a policy (spec.schedulePriority) has no say in this version.
func enqueue(q queue, object client.Object) {
	q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}})
}

// bindingHandler queues bindings.
type bindingHandler struct{}

func (bindingHandler) Create(_ context.Context, e event.CreateEvent, q queue) { enqueue(q, e.Object) }
func (bindingHandler) Update(_ context.Context, e event.UpdateEvent, q queue) {
	enqueue(q, e.ObjectNew)
}
func (bindingHandler) Delete(context.Context, event.DeleteEvent, queue) {}
func (bindingHandler) Generic(_ context.Context, e event.GenericEvent, q queue) {
	enqueue(q, e.Object)
}

// clusterHandler queues the bindings that a change of a cluster concerns. It
// announces the change first, so that whoever takes a binding from the queue
// gets a snapshot with the change in it.
type clusterHandler struct {
	changed  func()
	affected func(ctx context.Context, cluster string) ([]workv1alpha2.Binding, error)
}

// Create handles a cluster that has joined. The clusters that are there when the
// process starts need no queueing: every binding is looked at then anyway.
func (h clusterHandler) Create(ctx context.Context, e event.CreateEvent, q queue) {
	h.changed()
	if !e.IsInInitialList {
		h.enqueueAffected(ctx, e.Object.GetName(), q)
	}
}

// Update handles a cluster that has changed, and ignores heartbeats.
func (h clusterHandler) Update(ctx context.Context, e event.UpdateEvent, q queue) {
	was, ok := e.ObjectOld.(*clusterv1alpha1.Cluster)
	is, okay := e.ObjectNew.(*clusterv1alpha1.Cluster)
	if ok && okay && !snapshot.Relevant(was, is) {
		return
	}
	h.changed()
	h.enqueueAffected(ctx, e.ObjectNew.GetName(), q)
}

// Delete handles a cluster that has left.
func (h clusterHandler) Delete(ctx context.Context, e event.DeleteEvent, q queue) {
	h.changed()
	h.enqueueAffected(ctx, e.Object.GetName(), q)
}

// Generic does nothing: there are no such events.
func (clusterHandler) Generic(context.Context, event.GenericEvent, queue) {}

func (h clusterHandler) enqueueAffected(ctx context.Context, cluster string, q queue) {
	bindings, err := h.affected(ctx, cluster)
	if err != nil { // the list comes from a cache that is being shut down
		log.FromContext(ctx).Error(err, "Bindings were not told of a changed cluster", "cluster", cluster)
		return
	}
	for _, b := range bindings {
		enqueue(q, b)
	}
}
