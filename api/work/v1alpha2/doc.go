// Package v1alpha2 holds the work.karmada.io/v1alpha2 API: bindings. A binding
// is the federation's record about one template: what it is, how many replicas
// it has, which clusters were chosen for it and what became of it there.
//
// ResourceBinding (namespaced templates) and ClusterResourceBinding
// (cluster-scoped templates) share spec, status and the interface Binding, so
// that code is written once for both.
// The package has types, defaults and scheme registration only.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.karmada.work.v1alpha2
// +groupName=work.karmada.io
package v1alpha2
