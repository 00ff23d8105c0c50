// Package v1alpha1 holds the agent.flotilla.io/v1alpha1 API: what agents tell
// the federation in batches. Its objects are created and answered, never stored.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.flotilla.agent.v1alpha1
// +groupName=agent.flotilla.io
package v1alpha1
