package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// scheduleSubresource is where decisions are written.
const scheduleSubresource = "schedule"

// LeaseName is the lease of whoever runs the scheduler of the default name, in
// kube-system.
const LeaseName = "flotilla-scheduler"

// DefaultWorkers is how many bindings of a scope are decided about at a time if
// the options do not say. Deciding takes microseconds; workers wait for the API
// server to take the write.
const DefaultWorkers = 16

// Options are the scheduler's.
type Options struct {
	// Workers is how many bindings of each scope are decided about at a time;
	// DefaultWorkers if it is 0.
	Workers int
	// SchedulerName is the spec.schedulerName to serve; default-scheduler if it
	// is empty.
	SchedulerName string
	// Recorder takes the events about templates. It must be set.
	Recorder Recorder
}

// scope is what differs between the two kinds of bindings.
type scope struct {
	name    string
	binding func() workv1alpha2.Binding
	list    func() client.ObjectList
}

func scopes() []scope {
	return []scope{
		{
			name:    "scheduler-resourcebinding",
			binding: func() workv1alpha2.Binding { return &workv1alpha2.ResourceBinding{} },
			list:    func() client.ObjectList { return &workv1alpha2.ResourceBindingList{} },
		},
		{
			name:    "scheduler-clusterresourcebinding",
			binding: func() workv1alpha2.Binding { return &workv1alpha2.ClusterResourceBinding{} },
			list:    func() client.ObjectList { return &workv1alpha2.ClusterResourceBindingList{} },
		},
	}
}

// SetupWithManager adds the scheduler to the manager, whose scheme must know the
// cluster and work groups. The controllers run on the leader only.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	if opts.Recorder == nil {
		return errors.New("scheduler: Options.Recorder is not set")
	}
	if opts.Workers < 0 {
		return fmt.Errorf("scheduler: Options.Workers is %d, it cannot be negative", opts.Workers)
	}
	if opts.Workers == 0 {
		opts.Workers = DefaultWorkers
	}
	if opts.SchedulerName == "" {
		opts.SchedulerName = policyv1alpha1.DefaultSchedulerName
	}
	c := mgr.GetClient()
	store := snapshot.NewStore(listClusters(c))
	for _, s := range scopes() {
		err := builder.ControllerManagedBy(mgr).
			Named(s.name).
			Watches(s.binding(), bindingHandler{}, builder.WithPredicates(bindingPredicate())).
			Watches(&clusterv1alpha1.Cluster{}, clusterHandler{
				changed:  store.Invalidate,
				affected: listAffected(c, s, opts.SchedulerName),
			}).
			WithOptions(controller.Options{
				MaxConcurrentReconciles: opts.Workers,
				UsePriorityQueue:        ptr.To(false), // can hang at the end: controller-runtime issue 3538
			}).
			Complete(newReconciler(c, s, store, opts))
		if err != nil {
			return fmt.Errorf("adding controller %s: %w", s.name, err)
		}
	}
	return nil
}

func newReconciler(c client.Client, s scope, store *snapshot.Store, opts Options) *reconciler {
	return &reconciler{
		schedulerName: opts.SchedulerName,
		snapshot:      store.Current,
		get:           getBinding(c, s),
		write: func(ctx context.Context, b workv1alpha2.Binding) error {
			return c.SubResource(scheduleSubresource).Update(ctx, b)
		},
		recorder: opts.Recorder,
		now:      time.Now,
	}
}

// bindingPredicate lets through what may call for a decision.
func bindingPredicate() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, ok := e.ObjectOld.(workv1alpha2.Binding)
			is, okay := e.ObjectNew.(workv1alpha2.Binding)
			return ok && okay && worthALook(was, is)
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// getBinding reads from the cache without a copy: most looks at a binding end
// without a change, and a copy of all its statuses would be the dearest part.
func getBinding(c client.Reader, s scope) func(context.Context, reconcile.Request) (workv1alpha2.Binding, error) {
	return func(ctx context.Context, request reconcile.Request) (workv1alpha2.Binding, error) {
		b := s.binding()
		err := c.Get(ctx, request.NamespacedName, b, client.UnsafeDisableDeepCopy)
		return b, err
	}
}

func listClusters(c client.Reader) snapshot.ListFunc {
	return func(ctx context.Context) ([]*clusterv1alpha1.Cluster, error) {
		var list clusterv1alpha1.ClusterList
		if err := c.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		clusters := make([]*clusterv1alpha1.Cluster, len(list.Items))
		for i := range list.Items {
			clusters[i] = &list.Items[i]
		}
		return clusters, nil
	}
}

// listAffected returns the bindings that a change of a cluster may concern.
func listAffected(c client.Reader, s scope, schedulerName string) func(context.Context, string) ([]workv1alpha2.Binding, error) {
	return func(ctx context.Context, cluster string) ([]workv1alpha2.Binding, error) {
		list := s.list()
		if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing bindings affected by cluster %s: %w", cluster, err)
		}
		var bindings []workv1alpha2.Binding
		err := meta.EachListItem(list, func(object runtime.Object) error {
			if b, ok := object.(workv1alpha2.Binding); ok && affected(b, schedulerName, cluster) {
				bindings = append(bindings, b)
			}
			return nil
		})
		return bindings, err
	}
}
