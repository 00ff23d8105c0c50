package cluster

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// Options of the cluster controller.
type Options struct {
	// NewHosted makes the agents of Push clusters. Nil: none are hosted here.
	NewHosted HostedFactory
	// Grace is how long a lease may go without renewal before the cluster counts
	// as unreachable; 40 s by default.
	Grace time.Duration
	// DetachGrace is how long API servers have to stop serving the agent of a
	// leaving cluster; 5 s by default.
	DetachGrace time.Duration
	// Workers is how many clusters are looked at in parallel; 4 by default.
	Workers int
}

func (o *Options) complete() {
	if o.Grace == 0 {
		o.Grace = 40 * time.Second
	}
	if o.DetachGrace == 0 {
		o.DetachGrace = 5 * time.Second
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
}

// SetupWithManager adds the cluster controller, the approver of agents' certificates
// and the host of Push clusters' agents. All run on the leader.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	opts.complete()
	if err := addApprover(mgr); err != nil {
		return fmt.Errorf("approver of agents' certificates: %w", err)
	}
	host := NewHost(opts.NewHosted)
	if err := mgr.Add(host); err != nil {
		return fmt.Errorf("host of agents: %w", err)
	}
	// Leases and Secrets of all other namespaces are no business of ours, and
	// there can be many.
	scoped, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:        mgr.GetHTTPClient(),
		Scheme:            mgr.GetScheme(),
		Mapper:            mgr.GetRESTMapper(),
		DefaultNamespaces: map[string]cache.Config{names.ClusterNamespace: {}},
		DefaultTransform:  cache.TransformStripManagedFields(),
	})
	if err != nil {
		return fmt.Errorf("cache of namespace %s: %w", names.ClusterNamespace, err)
	}
	if err := mgr.Add(scoped); err != nil {
		return fmt.Errorf("cache of namespace %s: %w", names.ClusterNamespace, err)
	}

	r := newReconciler(mgr, host, opts)
	c, err := controller.New("cluster", mgr, controller.Options{
		Reconciler: r, MaxConcurrentReconciles: opts.Workers,
		UsePriorityQueue: ptr.To(false), // can hang at the end: controller-runtime issue 3538
	})
	if err != nil {
		return err
	}
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	namespaces := &metav1.PartialObjectMetadata{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	for _, src := range []source.Source{
		source.Kind[client.Object](mgr.GetCache(), &clusterv1alpha1.Cluster{}, &handler.EnqueueRequestForObject{}),
		source.Kind[client.Object](scoped, &coordinationv1.Lease{}, r.leaseHandler()),
		source.Kind[client.Object](scoped, secrets, handler.EnqueueRequestsFromMapFunc(clustersOfSecret(mgr.GetClient()))),
		source.Kind[client.Object](mgr.GetCache(), namespaces, handler.EnqueueRequestsFromMapFunc(clusterOfNamespace), gone),
	} {
		if err := c.Watch(src); err != nil {
			return err
		}
	}
	return nil
}

func newReconciler(mgr ctrl.Manager, host *Host, opts Options) *Reconciler {
	c, live := mgr.GetClient(), mgr.GetAPIReader()
	return &Reconciler{
		Cluster: func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error) {
			cluster := &clusterv1alpha1.Cluster{}
			if err := c.Get(ctx, client.ObjectKey{Name: name}, cluster); err != nil {
				return nil, client.IgnoreNotFound(err)
			}
			return cluster, nil
		},
		Patch: func(ctx context.Context, from, to *clusterv1alpha1.Cluster) error {
			return c.Patch(ctx, to, client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{}))
		},
		PatchStatus: func(ctx context.Context, from, to *clusterv1alpha1.Cluster) error {
			return c.Status().Patch(ctx, to, client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{}))
		},
		Namespace: func(ctx context.Context, name string) (metav1.Object, error) {
			ns := &metav1.PartialObjectMetadata{}
			ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
			err := c.Get(ctx, client.ObjectKey{Name: name}, ns)
			switch {
			case apierrors.IsNotFound(err):
				return nil, nil
			case err != nil:
				return nil, err
			}
			return ns, nil
		},
		CreateNamespace: func(ctx context.Context, name string) error {
			err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		},
		DeleteNamespace: func(ctx context.Context, name string) (bool, error) {
			err := c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
			if apierrors.IsConflict(err) { // it is being deleted
				return false, nil
			}
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		},
		DeleteLease: func(ctx context.Context, cluster string) error {
			return client.IgnoreNotFound(c.Delete(ctx, &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: names.ClusterNamespace, Name: cluster},
			}))
		},
		Secret: func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
			secret := &corev1.Secret{}
			return secret, live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
		},
		EnsureHosted: host.Ensure,
		StopHosted:   host.Stop,
		Grace:        opts.Grace,
		DetachGrace:  opts.DetachGrace,
		Clock:        clock.RealClock{},
	}
}

// leaseHandler takes note of renewals. It has a cluster looked at only for the
// first one, and after a silence.
func (r *Reconciler) leaseHandler() handler.EventHandler {
	observe := func(obj client.Object) bool {
		lease, ok := obj.(*coordinationv1.Lease)
		if !ok || lease.Spec.RenewTime == nil {
			return false
		}
		now := r.Clock.Now()
		wasSilent := now.Sub(r.pulse.since(lease.Name, now)) >= r.Grace
		return r.pulse.observe(lease.Name, lease.Spec.RenewTime.Time, now) && wasSilent
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			observe(e.Object)
			q.Add(requestFor(e.Object.GetName()))
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if observe(e.ObjectNew) {
				q.Add(requestFor(e.ObjectNew.GetName()))
			}
		},
	}
}

func requestFor(cluster string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: cluster}}
}

// clustersOfSecret finds the Push clusters whose credentials a Secret holds.
func clustersOfSecret(c client.Reader) handler.MapFunc {
	return func(ctx context.Context, secret client.Object) []reconcile.Request {
		clusters := &clusterv1alpha1.ClusterList{}
		if err := c.List(ctx, clusters); err != nil {
			return nil // the next look at the credentials is at most a minute away
		}
		var out []reconcile.Request
		for i := range clusters.Items {
			ref := clusters.Items[i].Spec.SecretRef
			if ref != nil && ref.Namespace == secret.GetNamespace() && ref.Name == secret.GetName() {
				out = append(out, requestFor(clusters.Items[i].Name))
			}
		}
		return out
	}
}

// clusterOfNamespace has a cluster looked at that has lost its execution
// namespace.
func clusterOfNamespace(_ context.Context, ns client.Object) []reconcile.Request {
	if cluster, ok := names.ClusterOf(ns.GetName()); ok {
		return []reconcile.Request{requestFor(cluster)}
	}
	return nil
}

var gone = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
