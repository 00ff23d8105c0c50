package claim

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// Component is the name under which claims report events.
const Component = "resource-detector"

// queue is what the event handlers below fill.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Options of the claim controller.
type Options struct {
	// Templates has claims indexed by IndexKey.
	Templates *templates.Store
	Recorder  events.Recorder
	// Workers is how many policies are looked at in parallel; 2 when zero.
	Workers int
}

// IndexKey is the form of a claim by which a templates.Store indexes. It is
// empty for an unclaimed object.
func IndexKey(obj metav1.Object) string {
	if c, ok := On(obj); ok {
		return c.String()
	}
	return ""
}

// SetupWithManager adds the controller that keeps existing claims in agreement
// with existing policies. It runs on the leader.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	index := &Index{}
	r := &Reconciler{
		Index:        index,
		PolicyExists: policyExists(mgr.GetAPIReader()),
		ClaimedBy:    opts.Templates.ClaimedBy,
		Ensure:       opts.Templates.Ensure,
		Forget:       opts.Templates.Forget,
		Get:          opts.Templates.Get,
		GetLive:      opts.Templates.GetLive,
		List:         opts.Templates.List,
		Patch:        opts.Templates.Patch,
		Recorder:     opts.Recorder,
	}
	workers := opts.Workers
	if workers == 0 {
		workers = 2
	}
	c, err := controller.New("claim", mgr, controller.Options{
		Reconciler: r, MaxConcurrentReconciles: workers,
		UsePriorityQueue: ptr.To(false), // can hang at the end: controller-runtime issue 3538
	})
	if err != nil {
		return err
	}
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	for _, src := range []source.Source{
		source.Kind[client.Object](mgr.GetCache(), &policyv1alpha1.PropagationPolicy{}, policyHandler(index)),
		source.Kind[client.Object](mgr.GetCache(), &policyv1alpha1.ClusterPropagationPolicy{}, policyHandler(index)),
		source.Kind[client.Object](mgr.GetCache(), crd, crdHandler(r, opts.Templates)),
		orphans(r, opts.Templates),
	} {
		if err := c.Watch(src); err != nil {
			return err
		}
	}
	return nil
}

// policyHandler keeps the index, and only then has the policy looked at.
func policyHandler(index *Index) handler.EventHandler {
	upsert := func(obj client.Object, q queue) {
		if p, ok := obj.(policyv1alpha1.Policy); ok {
			index.Upsert(p)
			q.Add(requestFor(p.GetNamespace(), p.GetName()))
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { upsert(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { upsert(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			index.Delete(e.Object.GetNamespace(), e.Object.GetName())
			q.Add(requestFor(e.Object.GetNamespace(), e.Object.GetName()))
		},
	}
}

// crdHandler has policies looked at again whose kinds come into being, and ends
// the watches of kinds that go, or that are served in other versions.
func crdHandler(r *Reconciler, store *templates.Store) handler.EventHandler {
	retry := func(name string, q queue) {
		resource := templates.ResourceOfCRD(name)
		store.Revive(resource)
		unwatched := func(gk schema.GroupKind) bool { return !store.Watched(gk) }
		for _, key := range r.Index.SelectingGroup(resource.Group, unwatched) {
			r.Touch(key)
			q.Add(reconcile.Request{NamespacedName: key})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { retry(e.Object.GetName(), q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				store.Forget(templates.ResourceOfCRD(e.ObjectNew.GetName()))
			}
			retry(e.ObjectNew.GetName(), q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ queue) {
			store.Forget(templates.ResourceOfCRD(e.Object.GetName()))
		},
	}
}

// orphans finds templates whose claim is not what the rules give: their policy was
// edited or deleted while no controller ran, or while the watch of their kind was
// not there yet.
func orphans(r *Reconciler, store *templates.Store) source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		return store.OnChange(func(gk schema.GroupKind, _, now *templates.Metadata) {
			if key, ok := r.misclaimed(gk, now); ok {
				r.Touch(key)
				q.Add(reconcile.Request{NamespacedName: key})
			}
		})
	})
}

func requestFor(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func policyExists(reader client.Reader) func(context.Context, types.NamespacedName) (bool, error) {
	return func(ctx context.Context, key types.NamespacedName) (bool, error) {
		var obj client.Object = &policyv1alpha1.ClusterPropagationPolicy{}
		if key.Namespace != "" {
			obj = &policyv1alpha1.PropagationPolicy{}
		}
		err := reader.Get(ctx, key, obj)
		switch {
		case apierrors.IsNotFound(err):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("getting the policy: %w", err)
		}
		return obj.GetDeletionTimestamp().IsZero(), nil
	}
}
