package binding

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// Component is the name under which bindings report events.
const Component = "binding-controller"

// recently is the time within which an event about a binding is worth saying
// after a restart. It is how long the API server keeps Events: within it,
// repeating one writes nothing.
const recently = time.Hour

type (
	queue       = workqueue.TypedRateLimitingInterface[templates.Key]
	keySource   = source.TypedSource[templates.Key]
	keyHandlers = handler.TypedFuncs[client.Object, templates.Key]
)

// Options of the binding controller.
type Options struct {
	// Templates has claims indexed by claim.IndexKey.
	Templates   *templates.Store
	Dynamic     dynamic.Interface
	Interpreter interpreter.Interpreter
	// Claims records claims, with claim.Component; Works the rest.
	Claims, Works events.Recorder
	// Workers is how many templates are worked on in parallel; 8 when zero.
	Workers int
}

// SetupWithManager adds the controller that keeps the bindings. It runs on the
// leader.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	reader := newReplicaReader(
		func(ctx context.Context, key templates.Key, m *templates.Metadata) (*unstructured.Unstructured, error) {
			mapping, err := opts.Templates.Ensure(key.GroupKind)
			if err != nil {
				return nil, err
			}
			return opts.Dynamic.Resource(mapping.Resource).Namespace(key.Namespace).Get(ctx, key.Name, notOlder(m))
		}, opts.Interpreter.Replicas)
	c := mgr.GetClient()
	r := &Reconciler{
		Mapping:    opts.Templates.Ensure,
		Template:   opts.Templates.Get,
		Binding:    bindingGetter(c),
		Policy:     policyGetter(c),
		Replicas:   reader.Replicas,
		Mark:       reader.Mark,
		PriorityOf: priorityOf(mgr.GetAPIReader()),
		Create: func(ctx context.Context, b workv1alpha2.Binding) error {
			return c.Create(ctx, b)
		},
		Patch: func(ctx context.Context, from, to workv1alpha2.Binding) error {
			return c.Patch(ctx, to, client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{}))
		},
		Delete: func(ctx context.Context, b workv1alpha2.Binding) error {
			uid := b.GetUID()
			return c.Delete(ctx, b, client.Preconditions{UID: &uid})
		},
		Recorder: opts.Claims,
	}
	workers := opts.Workers
	if workers == 0 {
		workers = 8
	}
	ctl, err := controller.NewTyped("binding", mgr, controller.TypedOptions[templates.Key]{
		Reconciler: r, MaxConcurrentReconciles: workers,
		UsePriorityQueue: ptr.To(false), // can hang at the end: controller-runtime issue 3538
	})
	if err != nil {
		return err
	}
	for _, src := range []keySource{
		fromTemplates(opts.Templates),
		source.TypedKind[client.Object](mgr.GetCache(), &workv1alpha2.ResourceBinding{}, fromBindings(opts.Works)),
		source.TypedKind[client.Object](mgr.GetCache(), &workv1alpha2.ClusterResourceBinding{}, fromBindings(opts.Works)),
		source.TypedKind[client.Object](mgr.GetCache(), &policyv1alpha1.PropagationPolicy{}, fromPolicies(opts.Templates)),
		source.TypedKind[client.Object](mgr.GetCache(), &policyv1alpha1.ClusterPropagationPolicy{}, fromPolicies(opts.Templates)),
	} {
		if err := ctl.Watch(src); err != nil {
			return err
		}
	}
	return nil
}

// fromTemplates has a template looked at when it comes, goes, or changes in a way
// that can matter to its binding. A write of its status does not.
func fromTemplates(store *templates.Store) keySource {
	return source.TypedFunc[templates.Key](func(_ context.Context, q queue) error {
		return store.OnChange(func(gk schema.GroupKind, old, now *templates.Metadata) {
			switch {
			case now == nil:
				q.Add(templates.KeyOf(gk, old))
			case old == nil || matters(old, now):
				q.Add(templates.KeyOf(gk, now))
			}
		})
	})
}

func matters(old, now *templates.Metadata) bool {
	return old.UID != now.UID ||
		old.Generation != now.Generation ||
		now.Generation == 0 && old.ResourceVersion != now.ResourceVersion ||
		old.DeletionTimestamp.IsZero() != now.DeletionTimestamp.IsZero() ||
		!apiequality.Semantic.DeepEqual(old.Labels, now.Labels) ||
		!apiequality.Semantic.DeepEqual(old.Annotations, now.Annotations)
}

// fromBindings has a template looked at when somebody else writes or deletes its
// binding, and tells its owner once the scheduler has chosen clusters.
func fromBindings(works events.Recorder) keyHandlers {
	return keyHandlers{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if b, ok := e.Object.(workv1alpha2.Binding); ok {
				q.Add(templates.KeyOfBinding(b))
				if time.Since(b.GetCreationTimestamp().Time) < recently {
					worksServed(ctx, works, b)
				}
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			old, ok := e.ObjectOld.(workv1alpha2.Binding)
			now, ok2 := e.ObjectNew.(workv1alpha2.Binding)
			if !ok || !ok2 {
				return
			}
			if !apiequality.Semantic.DeepEqual(old.GetSpec(), now.GetSpec()) ||
				!apiequality.Semantic.DeepEqual(old.GetLabels(), now.GetLabels()) ||
				!apiequality.Semantic.DeepEqual(old.GetAnnotations(), now.GetAnnotations()) ||
				!apiequality.Semantic.DeepEqual(old.GetOwnerReferences(), now.GetOwnerReferences()) {
				q.Add(templates.KeyOfBinding(now))
			}
			if templates.KeyOfBinding(old) != templates.KeyOfBinding(now) {
				q.Add(templates.KeyOfBinding(old))
			}
			if !slices.Equal(clusterNames(old), clusterNames(now)) {
				worksServed(ctx, works, now)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if b, ok := e.Object.(workv1alpha2.Binding); ok {
				q.Add(templates.KeyOfBinding(b))
			}
		},
	}
}

func worksServed(ctx context.Context, works events.Recorder, b workv1alpha2.Binding) {
	clusters := clusterNames(b)
	if len(clusters) == 0 {
		return
	}
	ref := b.GetSpec().Resource
	works.Event(ctx, corev1.ObjectReference{
		APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID,
	}, corev1.EventTypeNormal, names.EventSyncWorkSucceed,
		fmt.Sprintf("works for clusters %s are served", strings.Join(clusters, ", ")))
}

func clusterNames(b workv1alpha2.Binding) []string {
	out := make([]string, 0, len(b.GetSpec().Clusters))
	for _, c := range b.GetSpec().Clusters {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}

// fromPolicies has every template of a policy looked at when the policy comes or
// changes. One that goes loses its claims, which is an event of each template.
func fromPolicies(store *templates.Store) keyHandlers {
	all := func(p policyv1alpha1.Policy, q queue) {
		for _, key := range store.ClaimedBy(claim.Of(p).String()) {
			q.Add(key)
		}
	}
	return keyHandlers{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if p, ok := e.Object.(policyv1alpha1.Policy); ok {
				all(p, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			old, ok := e.ObjectOld.(policyv1alpha1.Policy)
			now, ok2 := e.ObjectNew.(policyv1alpha1.Policy)
			if ok && ok2 && (claim.Of(old) != claim.Of(now) || !apiequality.Semantic.DeepEqual(old.GetSpec(), now.GetSpec())) {
				all(now, q)
			}
		},
	}
}

func bindingGetter(c client.Reader) func(context.Context, templates.Key) (workv1alpha2.Binding, error) {
	return func(ctx context.Context, key templates.Key) (workv1alpha2.Binding, error) {
		b := newBinding(key)
		err := c.Get(ctx, client.ObjectKeyFromObject(b), b)
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return b, nil
	}
}

func policyGetter(c client.Reader) func(context.Context, claim.Claim) (policyv1alpha1.Policy, error) {
	return func(ctx context.Context, cl claim.Claim) (policyv1alpha1.Policy, error) {
		var p policyv1alpha1.Policy = &policyv1alpha1.ClusterPropagationPolicy{}
		if !cl.ClusterScoped() {
			p = &policyv1alpha1.PropagationPolicy{}
		}
		err := c.Get(ctx, client.ObjectKey{Namespace: cl.Namespace, Name: cl.Name}, p)
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return p, nil
	}
}

func priorityOf(c client.Reader) func(context.Context, string) (int32, error) {
	return func(ctx context.Context, name string) (int32, error) {
		class := &schedulingv1.PriorityClass{}
		if err := c.Get(ctx, client.ObjectKey{Name: name}, class); err != nil {
			return 0, fmt.Errorf("PriorityClass %s: %w", name, err)
		}
		return class.Value, nil
	}
}
