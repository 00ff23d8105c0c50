// Package v1alpha1 holds the work.karmada.io/v1alpha1 API: Work, the manifests
// that one cluster applies, and the first, deprecated version of bindings with
// its conversions to v1alpha2.
//
// Most Works are not stored: the API server computes them from template,
// binding and override policies when they are read.
// The package has types, conversions and scheme registration only.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.karmada.work.v1alpha1
// +groupName=work.karmada.io
package v1alpha1
