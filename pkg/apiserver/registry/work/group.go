package work

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/api/work/v1alpha2/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

var category = []string{"karmada-io"}

// Storages are the stores other parts of the server read and write directly.
type Storages struct {
	ResourceBindings, ClusterResourceBindings *registry.Storage
	// StoredWorks holds the Works that somebody created.
	StoredWorks *registry.Storage
}

// Group builds the group's storage over a projection. Statuses reported of
// computed Works go to report.
func Group(getter generic.RESTOptionsGetter, view View, report Reporter) (*genericapiserver.APIGroupInfo, *Storages, error) {
	current, deprecated := map[string]rest.Storage{}, map[string]rest.Storage{}
	stores := &Storages{}
	for _, kind := range []struct {
		resource registry.Resource
		into     **registry.Storage
	}{
		{resourceBindings(), &stores.ResourceBindings},
		{clusterResourceBindings(), &stores.ClusterResourceBindings},
	} {
		storage, err := registry.NewStorage(kind.resource, getter)
		if err != nil {
			return nil, nil, err
		}
		*kind.into = storage
		name := kind.resource.Group.Resource
		current[name] = storage.Store
		current[name+"/status"] = storage.Status
		current[name+"/schedule"] = registry.NewSubresource(storage.Store.Store, kind.resource, scheduleStrategy{storage.UpdateStrategy})
		deprecated[name] = storage.Store
		deprecated[name+"/status"] = storage.Status
	}
	stored, err := registry.NewStorage(works(), getter)
	if err != nil {
		return nil, nil, err
	}
	stores.StoredWorks = stored
	deprecated["works"] = &REST{Store: stored.Store, view: view}
	deprecated["works/status"] = &StatusREST{StatusREST: stored.Status, view: view, report: report}
	return registry.GroupInfo(workv1alpha2.GroupName, registry.Versions{
		workv1alpha2.GroupVersion.Version: current,
		workv1alpha1.GroupVersion.Version: deprecated,
	}), stores, nil
}

// scheduleStrategy serves the subresource schedule.
type scheduleStrategy struct{ rest.RESTUpdateStrategy }

func (s scheduleStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	decide(obj, old)
}

func (s scheduleStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	// A condition that is not valid would keep every later status from being written.
	return append(s.RESTUpdateStrategy.ValidateUpdate(ctx, obj, old), validation.ValidateBindingStatusUpdate(binding(obj), binding(old))...)
}

// GetResetFields implements rest.ResetFieldsStrategy: a decision owns nothing.
func (s scheduleStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return nil }
