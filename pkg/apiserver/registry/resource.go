package registry

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Resource says what is particular about one kind.
type Resource struct {
	Group      schema.GroupResource
	Singular   string
	ShortNames []string
	Categories []string
	Namespaced bool

	New     func() runtime.Object
	NewList func() runtime.Object

	// UnconditionalUpdate allows a PUT without a resourceVersion, which replaces
	// whatever is there. Kinds that are served elsewhere as custom resources do
	// not have it, and their clients expect to be refused.
	UnconditionalUpdate bool

	// OnCreate and OnUpdate finish an object before it is validated: OnCreate
	// clears what users may not set, OnUpdate carries it over from old.
	OnCreate func(obj runtime.Object)
	OnUpdate func(obj, old runtime.Object)
	// SpecChanged says whether an update is a new generation.
	SpecChanged func(obj, old runtime.Object) bool
	// OnStatus reduces an update of the status subresource to the status; the
	// metadata is taken care of. Nil when there is no such subresource.
	OnStatus func(obj, old runtime.Object)

	Validate       func(obj runtime.Object) field.ErrorList
	ValidateUpdate func(obj, old runtime.Object) field.ErrorList
	ValidateStatus func(obj, old runtime.Object) field.ErrorList
	// Warnings are told to the user when an object is written.
	Warnings func(obj runtime.Object) []string

	Columns []Column
}

// Storage is a kind's store and its subresources.
type Storage struct {
	*Store
	Status *StatusREST
}

// Store adds discovery details to a generic store.
type Store struct {
	*genericregistry.Store
	resource Resource
}

var (
	_ rest.ShortNamesProvider = &Store{}
	_ rest.CategoriesProvider = &Store{}
)

// ShortNames implements rest.ShortNamesProvider.
func (s *Store) ShortNames() []string { return s.resource.ShortNames }

// Categories implements rest.CategoriesProvider.
func (s *Store) Categories() []string { return s.resource.Categories }

// NewStorage makes the store of a resource.
func NewStorage(r Resource, getter generic.RESTOptionsGetter) (*Storage, error) {
	strategy := strategy{resource: r, typer: Scheme}
	store := &genericregistry.Store{
		NewFunc:                   r.New,
		NewListFunc:               r.NewList,
		DefaultQualifiedResource:  r.Group,
		SingularQualifiedResource: schema.GroupResource{Group: r.Group.Group, Resource: r.Singular},
		CreateStrategy:            strategy,
		UpdateStrategy:            strategy,
		DeleteStrategy:            strategy,
		ResetFieldsStrategy:       strategy,
		TableConvertor:            table{columns: r.Columns, resource: r.Group},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter}); err != nil {
		return nil, err
	}
	storage := &Storage{Store: &Store{store, r}}
	if r.OnStatus != nil {
		storage.Status = NewSubresource(store, r, statusStrategy{strategy})
	}
	return storage, nil
}

// StatusREST serves a subresource that reads and updates the whole object under
// a strategy of its own.
type StatusREST struct {
	store  *genericregistry.Store
	newObj func() runtime.Object
	reset  rest.ResetFieldsStrategy
}

// NewSubresource serves store under another update strategy.
func NewSubresource(store *genericregistry.Store, r Resource, strategy interface {
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
}) *StatusREST {
	sub := *store
	sub.UpdateStrategy = strategy
	sub.ResetFieldsStrategy = strategy
	return &StatusREST{store: &sub, newObj: r.New, reset: strategy}
}

// New implements rest.Storage.
func (s *StatusREST) New() runtime.Object { return s.newObj() }

// Destroy implements rest.Storage; the store is shared and destroyed once.
func (s *StatusREST) Destroy() {}

// Get implements rest.Getter, for patches.
func (s *StatusREST) Get(ctx context.Context, name string, options *metav1GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

// Update implements rest.Updater. A subresource never creates.
func (s *StatusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, options *metav1UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, create, update, false, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *StatusREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.reset.GetResetFields()
}

// ConvertToTable implements rest.TableConvertor.
func (s *StatusREST) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1Table, error) {
	return s.store.ConvertToTable(ctx, object, tableOptions)
}
