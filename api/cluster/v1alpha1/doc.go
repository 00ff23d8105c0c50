// Package v1alpha1 holds the cluster.karmada.io/v1alpha1 API: a member cluster
// of the federation, how it is reached and what it can run.
//
// The package has types, defaults and scheme registration only; it does no I/O.
// Values are plain data and follow the usual rule: whoever takes an object from
// a shared cache copies it before writing.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.karmada.cluster.v1alpha1
// +groupName=cluster.karmada.io
package v1alpha1
