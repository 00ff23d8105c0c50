package meshlink

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// Component is the name under which Meshes report events.
const Component = "mesh-controller"

const (
	// gather is how long news are gathered before a Mesh is looked at.
	gather = 100 * time.Millisecond
	// gatherPlacement is the same for where workloads are, which changes in bursts.
	gatherPlacement = 2 * time.Second
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Options of the mesh controller.
type Options struct {
	// Recorder records events, with Component.
	Recorder events.Recorder
	// Clock is the real one by default.
	Clock clock.PassiveClock
}

// SetupWithManager adds the controller of Meshes to a manager whose scheme is
// api/scheme. It runs on the leader.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	labelled, err := labels.NewRequirement(meshv1alpha1.MeshLabel, selection.Exists, nil)
	if err != nil {
		return err
	}
	works, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:       mgr.GetHTTPClient(),
		Scheme:           mgr.GetScheme(),
		Mapper:           mgr.GetRESTMapper(),
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject:         map[client.Object]cache.ByObject{&workv1alpha1.Work{}: {Label: labels.NewSelector().Add(*labelled)}},
	})
	if err != nil {
		return fmt.Errorf("cache of works: %w", err)
	}
	follow := newFollower(works)
	w := &watches{meshes: func(ctx context.Context) ([]*meshv1alpha1.Mesh, error) { return meshesOf(ctx, mgr.GetClient()) }}
	r := newReconciler(mgr.GetClient(), mgr.GetAPIReader(), follow, w, opts)
	c, err := controller.New("mesh", mgr, controller.Options{
		Reconciler: r, MaxConcurrentReconciles: 1, // Meshes compete for clusters
		UsePriorityQueue: ptr.To(false), // can hang at the end: controller-runtime issue 3538
	})
	if err != nil {
		return err
	}
	follow.watch = func(works cache.Cache) error {
		return c.Watch(source.Kind[client.Object](works, &workv1alpha1.Work{}, handler.Funcs{
			CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { ofLabel(e.Object, q) },
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { ofLabel(e.ObjectNew, q) },
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { ofLabel(e.Object, q) },
		}))
	}
	if err := mgr.Add(follow); err != nil {
		return fmt.Errorf("works of meshes: %w", err)
	}
	for obj, handle := range map[client.Object]handler.EventHandler{
		&meshv1alpha1.Mesh{}:            w.ofMeshes(),
		&meshv1alpha1.MeshMember{}:      w.ofMembers(),
		&clusterv1alpha1.Cluster{}:      w.ofClusters(),
		&workv1alpha2.ResourceBinding{}: w.ofBindings(),
	} {
		if err := c.Watch(source.Kind(mgr.GetCache(), obj, handle)); err != nil {
			return err
		}
	}
	return nil
}

func meshesOf(ctx context.Context, c client.Reader) ([]*meshv1alpha1.Mesh, error) {
	list := &meshv1alpha1.MeshList{}
	if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return pointers(list.Items), nil
}

func newReconciler(c client.Client, live client.Reader, follow *follower, w *watches, opts Options) *Reconciler {
	in := &inputs{
		Meshes: w.meshes,
		Works:  follow.Works,
		Clusters: func(ctx context.Context) ([]*clusterv1alpha1.Cluster, error) {
			list := &clusterv1alpha1.ClusterList{}
			if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
				return nil, err
			}
			return pointers(list.Items), nil
		},
		Members: func(ctx context.Context) ([]*meshv1alpha1.MeshMember, error) {
			list := &meshv1alpha1.MeshMemberList{}
			if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
				return nil, err
			}
			return pointers(list.Items), nil
		},
		Bindings: func(ctx context.Context) ([]*workv1alpha2.ResourceBinding, error) {
			w.placement.Store(true)
			list := &workv1alpha2.ResourceBindingList{}
			if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
				return nil, err
			}
			return pointers(list.Items), nil
		},
		Secret: func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
			secret := &corev1.Secret{}
			if err := live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
				return nil, client.IgnoreNotFound(err)
			}
			return secret, nil
		},
	}
	return &Reconciler{
		Mesh: func(ctx context.Context, name string) (*meshv1alpha1.Mesh, error) {
			mesh := &meshv1alpha1.Mesh{}
			if err := c.Get(ctx, client.ObjectKey{Name: name}, mesh); err != nil {
				return nil, client.IgnoreNotFound(err)
			}
			return mesh, nil
		},
		Picture: in.Picture,
		Forget:  in.Forget,
		Write:   func(ctx context.Context, w plan.Write) error { return write(ctx, c, w) },
		WriteStatus: func(ctx context.Context, mesh *meshv1alpha1.Mesh, status meshv1alpha1.MeshStatus) (*meshv1alpha1.Mesh, error) {
			next := mesh.DeepCopy()
			next.Status = status
			return next, c.Status().Patch(ctx, next, client.MergeFromWithOptions(mesh, client.MergeFromWithOptimisticLock{}))
		},
		Recorder: opts.Recorder,
		Clock:    opts.Clock,
	}
}

// write makes one write of a plan.
func write(ctx context.Context, c client.Client, w plan.Write) error {
	switch w.Verb {
	case plan.Create:
		return c.Create(ctx, w.Object)
	case plan.Update:
		return c.Patch(ctx, w.Object, client.MergeFromWithOptions(w.Was, client.MergeFromWithOptimisticLock{}))
	default:
		var opts []client.DeleteOption
		if uid := w.Object.GetUID(); uid != "" {
			opts = append(opts, client.Preconditions{UID: &uid})
		}
		return client.IgnoreNotFound(c.Delete(ctx, w.Object, opts...))
	}
}

// watches turn news into requests.
type watches struct {
	meshes func(ctx context.Context) ([]*meshv1alpha1.Mesh, error)
	// placement is true once a Mesh has asked where workloads are.
	placement atomic.Bool
}

func requestFor(mesh string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: mesh}}
}

func ofLabel(obj client.Object, q queue) {
	if mesh := obj.GetLabels()[meshv1alpha1.MeshLabel]; mesh != "" {
		q.AddAfter(requestFor(mesh), gather)
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
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { w.all(ctx, q, gather, every) },
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
	return ready(old) != ready(now) || old.DeletionTimestamp.IsZero() != now.DeletionTimestamp.IsZero() ||
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
