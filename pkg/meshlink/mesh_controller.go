package meshlink

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
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
	follow := newFollower(works, func(ctx context.Context) (bool, error) {
		list := &workv1alpha1.WorkList{}
		err := mgr.GetAPIReader().List(ctx, list, client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*labelled)}, client.Limit(1))
		return len(list.Items) > 0, err
	})
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
		return c.Watch(source.Kind[client.Object](works, &workv1alpha1.Work{}, ofWorks()))
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
		Clock:  opts.Clock,
		Meshes: w.meshes,
		Works:  follow.Works, Followed: follow.Followed,
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
		Remains: in.Remains,
		Absent:  func(ctx context.Context, name string) (bool, error) { return absent(ctx, live, name) },
		Write:   func(ctx context.Context, w plan.Write) (client.Object, error) { return write(ctx, c, w) },
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
func write(ctx context.Context, c client.Client, w plan.Write) (client.Object, error) {
	obj, ok := w.Object.DeepCopyObject().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", w.Object)
	}
	switch w.Verb {
	case plan.Create:
		return obj, c.Create(ctx, obj)
	case plan.Update:
		return obj, c.Patch(ctx, obj, client.MergeFromWithOptions(w.Was, client.MergeFromWithOptimisticLock{}))
	default:
		var opts []client.DeleteOption
		if uid := obj.GetUID(); uid != "" {
			opts = append(opts, client.Preconditions{UID: &uid})
		}
		return obj, client.IgnoreNotFound(c.Delete(ctx, obj, opts...))
	}
}
