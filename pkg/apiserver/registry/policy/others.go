package policy

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/api/policy/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

func quotas() registry.Resource {
	of := func(obj runtime.Object) *policyv1alpha1.FederatedResourceQuota {
		return obj.(*policyv1alpha1.FederatedResourceQuota)
	}
	amounts := func(list corev1.ResourceList) string {
		if len(list) == 0 {
			return ""
		}
		data, err := json.Marshal(list)
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	return registry.Resource{
		Group: policyv1alpha1.Resource("federatedresourcequotas"), Singular: "federatedresourcequota", Categories: category,
		Namespaced: true,
		New:        func() runtime.Object { return &policyv1alpha1.FederatedResourceQuota{} },
		NewList:    func() runtime.Object { return &policyv1alpha1.FederatedResourceQuotaList{} },
		OnCreate:   func(obj runtime.Object) { of(obj).Status = policyv1alpha1.FederatedResourceQuotaStatus{} },
		OnUpdate:   func(obj, old runtime.Object) { of(obj).Status = of(old).Status },
		OnStatus:   func(obj, old runtime.Object) { of(obj).Spec = of(old).Spec },
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).Spec, of(old).Spec)
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateFederatedResourceQuota(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateFederatedResourceQuotaUpdate(of(obj), of(old))
		},
		ValidateStatus: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateFederatedResourceQuotaStatusUpdate(of(obj), of(old))
		},
		Warnings: func(runtime.Object) []string {
			return []string{"federatedresourcequotas are stored but not enforced in this version: use a ResourceQuota in each member"}
		},
		Columns: []registry.Column{
			registry.Text("Overall", "What may be used in all clusters together.", func(obj runtime.Object) string { return amounts(of(obj).Status.Overall) }),
			registry.Text("Overall_Used", "What is used in all clusters together.", func(obj runtime.Object) string { return amounts(of(obj).Status.OverallUsed) }),
		},
	}
}

func taintPolicies() registry.Resource {
	of := func(obj runtime.Object) *policyv1alpha1.ClusterTaintPolicy {
		return obj.(*policyv1alpha1.ClusterTaintPolicy)
	}
	return registry.Resource{
		Group: policyv1alpha1.Resource("clustertaintpolicies"), Singular: "clustertaintpolicy",
		New:     func() runtime.Object { return &policyv1alpha1.ClusterTaintPolicy{} },
		NewList: func() runtime.Object { return &policyv1alpha1.ClusterTaintPolicyList{} },
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).Spec, of(old).Spec)
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateClusterTaintPolicy(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateClusterTaintPolicyUpdate(of(obj), of(old))
		},
		Warnings: func(runtime.Object) []string {
			return []string{"clustertaintpolicies are stored but not acted on in this version: taint clusters in spec.taints"}
		},
		Columns: []registry.Column{registry.Age()},
	}
}
