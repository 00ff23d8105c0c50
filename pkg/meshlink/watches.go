package meshlink

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

const (
	// gather is how long news are gathered before a Mesh is looked at.
	gather = 100 * time.Millisecond
	// gatherPlacement is the same for where workloads are, which changes in bursts.
	gatherPlacement = 2 * time.Second
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// watches turn news into requests.
type watches struct {
	meshes func(ctx context.Context) ([]*meshv1alpha1.Mesh, error)
	// placement is true once a Mesh has asked where workloads are.
	placement atomic.Bool
}

func requestFor(mesh string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: mesh}}
}

// ofWorks: the Mesh that a Work is labelled with is looked at.
func ofWorks() handler.EventHandler {
	look := func(obj client.Object, q queue) {
		if mesh := obj.GetLabels()[meshv1alpha1.MeshLabel]; mesh != "" {
			q.AddAfter(requestFor(mesh), gather)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { look(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { look(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { look(e.Object, q) },
	}
}

// all has all Meshes looked at that satisfy a condition.
func (w *watches) all(ctx context.Context, q queue, after time.Duration, condition func(*meshv1alpha1.Mesh) bool) {
	meshes, err := w.meshes(ctx)
	if err != nil {
		return // there are none before the cache is filled, and all are looked at then
	}
	for _, mesh := range meshes {
		if condition(mesh) {
			q.AddAfter(requestFor(mesh.Name), after)
		}
	}
}

func every(*meshv1alpha1.Mesh) bool { return true }

// ofMeshes: a Mesh is looked at when it changes, and all are, because they compete for
// clusters. A status is our own.
func (w *watches) ofMeshes() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			q.Add(requestFor(e.Object.GetName()))
			w.all(ctx, q, gather, every)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			old, now := e.ObjectOld, e.ObjectNew
			if old.GetGeneration() != now.GetGeneration() || old.GetDeletionTimestamp().IsZero() != now.GetDeletionTimestamp().IsZero() ||
				!slices.Equal(old.GetFinalizers(), now.GetFinalizers()) {
				q.Add(requestFor(now.GetName()))
				w.all(ctx, q, gather, every)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			q.Add(requestFor(e.Object.GetName()))
			w.all(ctx, q, gather, every)
		},
	}
}

// ofMembers: its Mesh is looked at, and when it goes also those that wait for the
// cluster.
func (w *watches) ofMembers() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			q.AddAfter(requestFor(e.Object.GetName()), gather)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			q.AddAfter(requestFor(e.ObjectNew.GetName()), gather)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			q.AddAfter(requestFor(e.Object.GetName()), gather)
			w.all(ctx, q, gather, every)
		},
	}
}

// ofClusters: all Meshes are looked at when a cluster comes, goes, or changes in a way
// that can matter. Counts of nodes and the like do not.
func (w *watches) ofClusters() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, q queue) { w.all(ctx, q, gather, every) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			old, ok := e.ObjectOld.(*clusterv1alpha1.Cluster)
			now, ok2 := e.ObjectNew.(*clusterv1alpha1.Cluster)
			if ok && ok2 && matters(old, now) {
				w.all(ctx, q, gather, every)
			}
		},
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { w.all(ctx, q, gather, every) },
	}
}

func matters(old, now *clusterv1alpha1.Cluster) bool {
	ready := func(c *clusterv1alpha1.Cluster) metav1.ConditionStatus {
		if condition := meta.FindStatusCondition(c.Status.Conditions, clusterv1alpha1.ClusterConditionReady); condition != nil {
			return condition.Status
		}
		return ""
	}
	held := func(c *clusterv1alpha1.Cluster) string {
		if condition := meta.FindStatusCondition(c.Status.Conditions, names.ConditionDeletionsHeld); condition != nil {
			return string(condition.Status) + condition.Message
		}
		return ""
	}
	return ready(old) != ready(now) || held(old) != held(now) || old.DeletionTimestamp.IsZero() != now.DeletionTimestamp.IsZero() ||
		!apiequality.Semantic.DeepEqual(old.Labels, now.Labels) || !slices.Equal(old.Finalizers, now.Finalizers) ||
		!apiequality.Semantic.DeepEqual(old.Spec, now.Spec)
}

// ofBindings: Meshes with links by placement are looked at when workloads come to
// other clusters. While there is no such Mesh nothing is done.
func (w *watches) ofBindings() handler.EventHandler {
	byPlacement := func(m *meshv1alpha1.Mesh) bool { return m.Spec.Links == meshv1alpha1.LinksPlacement }
	clusters := func(obj client.Object) []string {
		b, ok := obj.(*workv1alpha2.ResourceBinding)
		if !ok {
			return nil
		}
		return placedIn(b)
	}
	changed := func(ctx context.Context, old, now []string, q queue) {
		if !slices.Equal(old, now) {
			w.all(ctx, q, gatherPlacement, byPlacement)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if w.placement.Load() {
				changed(ctx, nil, clusters(e.Object), q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if w.placement.Load() {
				changed(ctx, clusters(e.ObjectOld), clusters(e.ObjectNew), q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			if w.placement.Load() {
				changed(ctx, clusters(e.Object), nil, q)
			}
		},
	}
}
