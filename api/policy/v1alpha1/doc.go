// Package v1alpha1 holds the policy.karmada.io/v1alpha1 API: which templates go
// to which clusters (PropagationPolicy, ClusterPropagationPolicy), what is
// different about them there (OverridePolicy, ClusterOverridePolicy), how much
// they may use together (FederatedResourceQuota) and when clusters are tainted
// (ClusterTaintPolicy).
//
// The namespaced and the cluster-scoped variant of a policy share one spec type
// and one interface, Policy or Override, so that code is written once for both.
// The package has types, defaults and scheme registration only.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.karmada.policy.v1alpha1
// +groupName=policy.karmada.io
package v1alpha1
