// Package policy serves the group policy.karmada.io.
//
// A policy carries its own permanent id as a label. It is given on creation,
// like a UID, but survives a backup and restore, so claims on templates do too.
package policy

import (
	"strconv"

	"github.com/google/uuid"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/api/policy/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// Observer is told of every write of a propagation policy before it is
// answered.
type Observer interface {
	PolicyChanged(policyv1alpha1.Policy)
	PolicyDeleted(policyv1alpha1.Policy)
}

// Storages are the stores other parts of the server read directly.
type Storages struct {
	PropagationPolicies, ClusterPropagationPolicies *registry.Storage
	OverridePolicies, ClusterOverridePolicies       *registry.Storage
}

// Group builds the group's storage.
func Group(getter generic.RESTOptionsGetter, observer Observer) (*genericapiserver.APIGroupInfo, *Storages, error) {
	resources, stores := map[string]rest.Storage{}, map[string]*registry.Storage{}
	for _, r := range []registry.Resource{
		propagation("propagationpolicies", "propagationpolicy", "pp", true,
			func() runtime.Object { return &policyv1alpha1.PropagationPolicy{} },
			func() runtime.Object { return &policyv1alpha1.PropagationPolicyList{} }),
		propagation("clusterpropagationpolicies", "clusterpropagationpolicy", "cpp", false,
			func() runtime.Object { return &policyv1alpha1.ClusterPropagationPolicy{} },
			func() runtime.Object { return &policyv1alpha1.ClusterPropagationPolicyList{} }),
		override("overridepolicies", "overridepolicy", "op", true,
			func() runtime.Object { return &policyv1alpha1.OverridePolicy{} },
			func() runtime.Object { return &policyv1alpha1.OverridePolicyList{} }),
		override("clusteroverridepolicies", "clusteroverridepolicy", "cop", false,
			func() runtime.Object { return &policyv1alpha1.ClusterOverridePolicy{} },
			func() runtime.Object { return &policyv1alpha1.ClusterOverridePolicyList{} }),
		quotas(),
		taintPolicies(),
	} {
		storage, err := registry.NewStorage(r, getter)
		if err != nil {
			return nil, nil, err
		}
		stores[r.Group.Resource] = storage
		resources[r.Group.Resource] = storage.Store
		if storage.Status != nil {
			resources[r.Group.Resource+"/status"] = storage.Status
		}
	}
	for _, name := range []string{"propagationpolicies", "clusterpropagationpolicies"} {
		observe(stores[name], observer)
	}
	return registry.GroupInfo(policyv1alpha1.GroupName, registry.Versions{policyv1alpha1.GroupVersion.Version: resources}), &Storages{
		PropagationPolicies:        stores["propagationpolicies"],
		ClusterPropagationPolicies: stores["clusterpropagationpolicies"],
		OverridePolicies:           stores["overridepolicies"],
		ClusterOverridePolicies:    stores["clusteroverridepolicies"],
	}, nil
}

// observe tells of writes that happened; the hooks are called for dry runs, too.
func observe(s *registry.Storage, observer Observer) {
	s.AfterCreate = func(obj runtime.Object, o *metav1.CreateOptions) {
		if len(o.DryRun) == 0 {
			observer.PolicyChanged(obj.(policyv1alpha1.Policy))
		}
	}
	s.AfterUpdate = func(obj runtime.Object, o *metav1.UpdateOptions) {
		if len(o.DryRun) == 0 {
			observer.PolicyChanged(obj.(policyv1alpha1.Policy))
		}
	}
	s.AfterDelete = func(obj runtime.Object, o *metav1.DeleteOptions) {
		if len(o.DryRun) == 0 {
			observer.PolicyDeleted(obj.(policyv1alpha1.Policy))
		}
	}
}

var category = []string{"karmada-io"}

func propagation(plural, singular, short string, namespaced bool, newObj, newList func() runtime.Object) registry.Resource {
	of := func(obj runtime.Object) policyv1alpha1.Policy { return obj.(policyv1alpha1.Policy) }
	label, finalizer := names.ClusterPropagationPolicyPermanentIDLabel, names.ClusterPropagationPolicyFinalizer
	if namespaced {
		label, finalizer = names.PropagationPolicyPermanentIDLabel, names.PropagationPolicyFinalizer
	}
	return registry.Resource{
		Group: policyv1alpha1.Resource(plural), Singular: singular, ShortNames: []string{short}, Categories: category,
		Namespaced: namespaced, New: newObj, NewList: newList,
		OnCreate: func(obj runtime.Object) {
			identify(of(obj), label, "")
			registry.DropFinalizers(of(obj), finalizer)
		},
		OnUpdate: func(obj, old runtime.Object) {
			identify(of(obj), label, of(old).GetLabels()[label])
			registry.DropFinalizers(of(obj), finalizer)
		},
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).GetSpec(), of(old).GetSpec())
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidatePolicy(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidatePolicyUpdate(of(obj), of(old))
		},
		Warnings: func(obj runtime.Object) []string { return warnPropagation(of(obj).GetSpec(), of(obj).GetNamespace()) },
		Columns: []registry.Column{
			registry.Text("Conflict-Resolution", "What happens when an object of the name is in a member already.", func(obj runtime.Object) string {
				return string(of(obj).GetSpec().ConflictResolution)
			}),
			registry.Text("Priority", "The policy with the higher number claims a template.", func(obj runtime.Object) string {
				if p := of(obj).GetSpec().Priority; p != nil {
					return strconv.Itoa(int(*p))
				}
				return "0"
			}),
			registry.Age(),
		},
	}
}

// identify gives an object its permanent id, or back the one it had: an update
// that leaves the label out must not end every claim.
func identify(obj metav1.Object, label, id string) {
	labels := obj.GetLabels()
	if labels[label] != "" {
		return
	}
	if id == "" {
		id = uuid.NewString()
	}
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label] = id
	obj.SetLabels(labels)
}

func override(plural, singular, short string, namespaced bool, newObj, newList func() runtime.Object) registry.Resource {
	of := func(obj runtime.Object) policyv1alpha1.Override { return obj.(policyv1alpha1.Override) }
	return registry.Resource{
		Group: policyv1alpha1.Resource(plural), Singular: singular, ShortNames: []string{short}, Categories: category,
		Namespaced: namespaced, New: newObj, NewList: newList,
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).GetSpec(), of(old).GetSpec())
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateOverride(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateOverrideUpdate(of(obj), of(old))
		},
		Warnings: func(obj runtime.Object) []string { return warnOverride(of(obj).GetSpec(), of(obj).GetNamespace()) },
		Columns:  []registry.Column{registry.Age()},
	}
}
