package v1alpha2

import (
	"k8s.io/apimachinery/pkg/runtime"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// RegisterDefaults registers the defaulting functions of this version.
func RegisterDefaults(scheme *runtime.Scheme) error {
	scheme.AddTypeDefaultingFunc(&ResourceBinding{}, func(obj any) {
		SetDefaults_ResourceBindingSpec(&obj.(*ResourceBinding).Spec)
	})
	scheme.AddTypeDefaultingFunc(&ResourceBindingList{}, func(obj any) {
		list := obj.(*ResourceBindingList)
		for i := range list.Items {
			SetDefaults_ResourceBindingSpec(&list.Items[i].Spec)
		}
	})
	scheme.AddTypeDefaultingFunc(&ClusterResourceBinding{}, func(obj any) {
		SetDefaults_ResourceBindingSpec(&obj.(*ClusterResourceBinding).Spec)
	})
	scheme.AddTypeDefaultingFunc(&ClusterResourceBindingList{}, func(obj any) {
		list := obj.(*ClusterResourceBindingList)
		for i := range list.Items {
			SetDefaults_ResourceBindingSpec(&list.Items[i].Spec)
		}
	})
	return nil
}

// SetDefaults_ResourceBindingSpec fills what was left out of a binding.
// Defaulting a second time changes nothing.
func SetDefaults_ResourceBindingSpec(spec *ResourceBindingSpec) {
	if spec.ConflictResolution == "" {
		spec.ConflictResolution = policyv1alpha1.ConflictAbort
	}
	if spec.Placement != nil {
		policyv1alpha1.SetDefaults_Placement(spec.Placement)
	}
	if spec.Failover != nil {
		policyv1alpha1.SetDefaults_FailoverBehavior(spec.Failover)
	}
}
