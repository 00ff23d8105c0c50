package status

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/notfound"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// The names under which statuses report events.
const (
	SyncComponent      = "execution-controller"
	AggregateComponent = "resource-binding-status-controller"
)

// noStatusFor is how long a kind counts as having no status subresource; another
// version of the API server can give it one.
const noStatusFor = 10 * time.Minute

// TemplateOptions of the template status controller.
type TemplateOptions struct {
	Dynamic     dynamic.Interface
	Mapping     func(schema.GroupKind) (*meta.RESTMapping, error)
	Interpreter interpreter.Interpreter
	// Sync and Aggregated record events as SyncComponent and
	// AggregateComponent.
	Sync, Aggregated events.Recorder
	// Workers is how many bindings are looked at in parallel; 8 when zero.
	Workers int
}

// SetupTemplateWithManager adds the controller that writes the statuses of
// templates. It runs on the leader.
func SetupTemplateWithManager(mgr ctrl.Manager, opts TemplateOptions) error {
	t := &templateClient{dynamic: opts.Dynamic, mapping: opts.Mapping, now: time.Now}
	r := &TemplateReconciler{
		Binding:     bindingGetter(mgr.GetClient()),
		Template:    t.get,
		Aggregate:   opts.Interpreter.AggregateStatus,
		WriteStatus: t.writeStatus,
		Sync:        opts.Sync,
		Aggregated:  opts.Aggregated,
		Now:         time.Now,
	}
	workers := opts.Workers
	if workers == 0 {
		workers = 8
	}
	c, err := controller.New("template-status", mgr, controller.Options{
		Reconciler: r, MaxConcurrentReconciles: workers,
		UsePriorityQueue: ptr.To(false), // can hang at the end: controller-runtime issue 3538
	})
	if err != nil {
		return err
	}
	for _, obj := range []client.Object{&workv1alpha2.ResourceBinding{}, &workv1alpha2.ClusterResourceBinding{}} {
		if err := c.Watch(source.Kind(mgr.GetCache(), obj, &handler.EnqueueRequestForObject{}, newsForTemplate)); err != nil {
			return err
		}
	}
	return nil
}

// newsForTemplate lets through what can change the template's status: reports,
// the set of clusters they are due from, the template they are about, and the
// version it is served in.
var newsForTemplate = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool {
		b, ok := e.Object.(workv1alpha2.Binding)
		return ok && reported(b)
	},
	UpdateFunc: func(e event.UpdateEvent) bool {
		old, ok := e.ObjectOld.(workv1alpha2.Binding)
		now, ok2 := e.ObjectNew.(workv1alpha2.Binding)
		if !ok || !ok2 {
			return false
		}
		applied := func(b workv1alpha2.Binding) *metav1.Condition {
			return meta.FindStatusCondition(b.GetStatus().Conditions, workv1alpha2.FullyApplied)
		}
		return old.GetSpec().Resource.UID != now.GetSpec().Resource.UID ||
			old.GetSpec().Resource.APIVersion != now.GetSpec().Resource.APIVersion ||
			!apiequality.Semantic.DeepEqual(clusterNames(old), clusterNames(now)) ||
			!apiequality.Semantic.DeepEqual(applied(old), applied(now)) ||
			!apiequality.Semantic.DeepEqual(old.GetStatus().AggregatedStatus, now.GetStatus().AggregatedStatus)
	},
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

func bindingGetter(c client.Reader) func(context.Context, string, string) (workv1alpha2.Binding, error) {
	return func(ctx context.Context, namespace, name string) (workv1alpha2.Binding, error) {
		var b workv1alpha2.Binding = &workv1alpha2.ClusterResourceBinding{}
		if namespace != "" {
			b = &workv1alpha2.ResourceBinding{}
		}
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, b)
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return b, nil
	}
}

// templateClient reads whole templates and writes their statuses.
type templateClient struct {
	dynamic dynamic.Interface
	mapping func(schema.GroupKind) (*meta.RESTMapping, error)
	now     func() time.Time

	noStatus sync.Map // schema.GroupKind -> time.Time until which to believe it
}

func (t *templateClient) resource(key templates.Key) (dynamic.ResourceInterface, error) {
	mapping, err := t.mapping(key.GroupKind)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return t.dynamic.Resource(mapping.Resource), nil
	}
	return t.dynamic.Resource(mapping.Resource).Namespace(key.Namespace), nil
}

// get is answered by the API server from memory and may be a little old; the
// write is refused then.
func (t *templateClient) get(ctx context.Context, key templates.Key) (*unstructured.Unstructured, error) {
	r, err := t.resource(key)
	if err != nil {
		return nil, err
	}
	return r.Get(ctx, key.Name, metav1.GetOptions{ResourceVersion: "0"})
}

func (t *templateClient) writeStatus(ctx context.Context, key templates.Key, from, to *unstructured.Unstructured) error {
	if until, ok := t.noStatus.Load(key.GroupKind); ok && t.now().Before(until.(time.Time)) {
		return nil
	}
	r, err := t.resource(key)
	if err != nil {
		return err
	}
	patch, err := statusPatch(from, to)
	if err != nil || patch == nil {
		return err
	}
	_, err = r.Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if !notfound.Path(err) {
		return err
	}
	if _, err := r.Get(ctx, key.Name, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("looking whether it has a status: %w", err)
	}
	t.noStatus.Store(key.GroupKind, t.now().Add(noStatusFor))
	return nil
}

// notServed says that a kind is not served where it was looked for, which says
// nothing about any object. A path that is missing is that of the version, or of the
// subresource of a kind that is built in. Custom resources without the subresource
// answer as without the object.
func notServed(err error) bool { return meta.IsNoMatchError(err) || notfound.Path(err) }

// statusPatch gives the JSON merge patch between two statuses, on the condition
// that the object is still from; nil when they are equal.
func statusPatch(from, to *unstructured.Unstructured) ([]byte, error) {
	before, err := json.Marshal(map[string]any{"status": from.Object["status"]})
	if err != nil {
		return nil, fmt.Errorf("encoding the status that was read: %w", err)
	}
	after, err := json.Marshal(map[string]any{"status": to.Object["status"]})
	if err != nil {
		return nil, fmt.Errorf("encoding the aggregated status: %w", err)
	}
	diff, err := jsonmergepatch.CreateThreeWayJSONMergePatch(before, after, before)
	if err != nil {
		return nil, fmt.Errorf("comparing statuses: %w", err)
	}
	var patch map[string]any
	if err := json.Unmarshal(diff, &patch); err != nil {
		return nil, fmt.Errorf("comparing statuses: %w", err)
	}
	if len(patch) == 0 {
		return nil, nil
	}
	patch["metadata"] = map[string]any{"uid": from.GetUID(), "resourceVersion": from.GetResourceVersion()}
	return json.Marshal(patch)
}
