package work

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/api/work/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

func work(obj runtime.Object) *workv1alpha1.Work { return obj.(*workv1alpha1.Work) }

func works() registry.Resource {
	return registry.Resource{
		Group: workv1alpha1.Resource("works"), Singular: "work", ShortNames: []string{"wk"}, Categories: category,
		Namespaced: true,
		New:        func() runtime.Object { return &workv1alpha1.Work{} },
		NewList:    func() runtime.Object { return &workv1alpha1.WorkList{} },
		OnCreate: func(obj runtime.Object) {
			work(obj).Status = workv1alpha1.WorkStatus{}
			registry.DropFinalizers(work(obj), names.ExecutionFinalizer)
		},
		OnUpdate: func(obj, old runtime.Object) {
			work(obj).Status = work(old).Status
			registry.DropFinalizers(work(obj), names.ExecutionFinalizer)
		},
		OnStatus: func(obj, old runtime.Object) { work(obj).Spec = work(old).Spec },
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(work(obj).Spec, work(old).Spec)
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateWork(work(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateWorkUpdate(work(obj), work(old))
		},
		ValidateStatus: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateWorkStatusUpdate(work(obj), work(old))
		},
		Columns: []registry.Column{
			registry.Text("Workload-Kind", "Kinds of the manifests.", func(obj runtime.Object) string { return strings.Join(kinds(work(obj)), ",") }),
			registry.Text("Applied", "Whether the cluster has applied the manifests.", func(obj runtime.Object) string {
				if c := meta.FindStatusCondition(work(obj).Status.Conditions, workv1alpha1.WorkApplied); c != nil {
					return string(c.Status)
				}
				return ""
			}),
			registry.Age(),
		},
	}
}

func kinds(w *workv1alpha1.Work) []string {
	var out []string
	for _, m := range w.Spec.Workload.Manifests {
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(m.Raw); err == nil {
			out = append(out, obj.GetKind())
		}
	}
	return out
}

// View is the union of computed and stored Works: a Projection, and whether it
// has been filled.
type View interface {
	Lookup(cluster, work string) (projection.Origin, bool)
	Get(cluster, name string) (*workv1alpha1.Work, bool)
	List(cluster string, o projection.WatchOptions) (*workv1alpha1.WorkList, error)
	Watch(ctx context.Context, cluster string, o projection.WatchOptions) (watch.Interface, error)
	StoredVersion(cluster, name, resourceVersion string, o projection.WatchOptions) (string, error)
	// Complete fails while computed Works may still be missing.
	Complete() error
}

// REST serves works.
type REST struct {
	*registry.Store
	view View
}

var _ rest.StandardStorage = &REST{}

// Get implements rest.Getter.
func (r *REST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	if w, ok := r.view.Get(clusterOf(ctx), name); ok {
		return w, nil
	}
	w, err := r.Store.Get(ctx, name, options)
	return w, absent(err, r.view)
}

// absent keeps a Work that is not computed yet from looking deleted.
func absent(err error, view View) error {
	if apierrors.IsNotFound(err) {
		if incomplete := view.Complete(); incomplete != nil {
			return incomplete
		}
	}
	return err
}

// List implements rest.Lister.
func (r *REST) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	sel, err := selectionOf(ctx, options)
	if err != nil {
		return nil, err
	}
	list, err := r.view.List(sel.cluster, sel.options)
	if err != nil {
		return nil, err // a typed nil would be taken for a list
	}
	return list, nil
}

// Watch implements rest.Watcher.
func (r *REST) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	sel, err := selectionOf(ctx, options)
	if err != nil {
		return nil, err
	}
	return r.view.Watch(ctx, sel.cluster, sel.options)
}

// Create implements rest.Creater.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	if err := r.view.Complete(); err != nil {
		return nil, err // it might take the name of a computed one
	}
	if _, ok := r.view.Lookup(clusterOf(ctx), work(obj).Name); ok {
		return nil, apierrors.NewAlreadyExists(workv1alpha1.Resource("works"), work(obj).Name)
	}
	return r.Store.Create(ctx, obj, validate, options)
}

// Update implements rest.Updater.
func (r *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	if err := r.refuseComputed(ctx, name, "changed"); err != nil {
		return nil, false, err
	}
	return r.Store.Update(ctx, name, translate(info, r.view, clusterOf(ctx), name), create, update, forceAllowCreate, options)
}

// Delete implements rest.GracefulDeleter.
func (r *REST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	if err := r.refuseComputed(ctx, name, "deleted"); err != nil {
		return nil, false, err
	}
	return r.Store.Delete(ctx, name, validate, options)
}

func (r *REST) refuseComputed(ctx context.Context, name, verb string) error {
	origin, ok := r.view.Lookup(clusterOf(ctx), name)
	if !ok {
		return nil
	}
	what := "the namespace it creates in the member: label the namespace " + names.SkipAutoPropagationLabel + "=" + names.SkipAutoPropagationValue
	binding := strings.TrimPrefix(origin.Binding.Namespace+"/"+origin.Binding.Name, "/")
	switch {
	case origin.Stub:
		what = fmt.Sprintf("the links of a Mesh and from binding %s: annotate its Service with %s=false", binding, meshv1alpha1.StubLabel)
	case origin.Binding != (projection.Key{}):
		what = fmt.Sprintf("binding %s: change its template or policy", binding)
	}
	return apierrors.NewForbidden(workv1alpha1.Resource("works"), name, fmt.Errorf("a computed Work cannot be %s, it follows from %s", verb, what))
}

func clusterOf(ctx context.Context) string {
	cluster, _ := names.ClusterOf(genericapirequest.NamespaceValue(ctx))
	return cluster
}

// selection is what a list or watch asks for.
type selection struct {
	cluster string
	options projection.WatchOptions
}

// nobody is a name no Work can have: it selects nothing, in a list that has a
// resource version all the same and a watch that stays open.
const nobody = "/"

func selectionOf(ctx context.Context, options *metainternalversion.ListOptions) (selection, error) {
	sel, nothing := selection{}, false
	namespace := genericapirequest.NamespaceValue(ctx)
	if options != nil {
		sel.options.Labels = options.LabelSelector
		if options.FieldSelector != nil {
			for _, r := range options.FieldSelector.Requirements() {
				if r.Operator != "=" && r.Operator != "==" {
					return sel, apierrors.NewBadRequest("works can be selected by metadata.name=... and metadata.namespace=... only")
				}
				switch r.Field {
				case "metadata.name":
					sel.options.Name = r.Value
				case "metadata.namespace":
					if namespace != "" && namespace != r.Value {
						nothing = true
					}
					namespace = r.Value
				default:
					return sel, apierrors.NewBadRequest(fmt.Sprintf("works cannot be selected by %s", r.Field))
				}
			}
		}
		sel.options.ResourceVersion = options.ResourceVersion
		sel.options.Bookmarks = options.AllowWatchBookmarks
		sel.options.InitialEvents = options.SendInitialEvents != nil && *options.SendInitialEvents
	}
	if namespace != "" {
		cluster, ok := names.ClusterOf(namespace)
		sel.cluster = cluster
		nothing = nothing || !ok
	}
	if nothing {
		sel.options.Name = nobody
	}
	sel.options.SpecOnly = isAgent(ctx)
	return sel, nil
}

// isAgent says whether the client makes statuses, and so is not told of them.
func isAgent(ctx context.Context) bool {
	user, ok := genericapirequest.UserFrom(ctx)
	return ok && slices.Contains(user.GetGroups(), names.AgentGroup)
}

// translate lets clients send back the resource version they read: the
// projection's, where the store knows only its own.
func translate(info rest.UpdatedObjectInfo, view View, cluster, name string) rest.UpdatedObjectInfo {
	return rest.WrapUpdatedObjectInfo(info, func(ctx context.Context, newObj, _ runtime.Object) (runtime.Object, error) {
		w := work(newObj)
		if !projection.IsProjected(w.ResourceVersion) {
			return w, nil
		}
		version, err := view.StoredVersion(cluster, name, w.ResourceVersion, projection.WatchOptions{SpecOnly: isAgent(ctx)})
		if err != nil {
			return nil, err
		}
		w.ResourceVersion = version
		return w, nil
	})
}
