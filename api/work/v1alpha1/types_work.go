package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Kind of Work and the resource it is served at.
const (
	// ResourceKindWork is the kind of Work.
	ResourceKindWork = "Work"
	// ResourcePluralWork is the resource of Work.
	ResourcePluralWork = "works"
)

// Types of conditions on a Work.
const (
	// WorkApplied is True when every manifest has been applied in the member.
	WorkApplied = "Applied"
	// WorkProgressing is True while manifests are being applied.
	WorkProgressing = "Progressing"
	// WorkAvailable is True when every object exists in the member.
	WorkAvailable = "Available"
	// WorkDegraded is True when objects in the member differ from the manifests.
	WorkDegraded = "Degraded"
	// WorkDispatching is False when sending the Work to the member is suspended.
	WorkDispatching = "Dispatching"
)

// Reasons of the condition Applied.
const (
	// AppliedSuccessfulReason means that the member has taken the manifests.
	AppliedSuccessfulReason = "AppliedSuccessful"
	// AppliedFailedReason means that the member has refused one.
	AppliedFailedReason = "AppliedFailed"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Work is a set of manifests for one cluster, in that cluster's execution
// namespace.
type Work struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the cluster is to have.
	Spec WorkSpec `json:"spec"`

	// Status is what became of it.
	// +optional
	Status WorkStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// WorkList is a list of Works.
type WorkList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the works.
	Items []Work `json:"items"`
}

// WorkSpec is what a cluster is to have.
type WorkSpec struct {
	// Workload holds the manifests.
	// +optional
	Workload WorkloadTemplate `json:"workload,omitempty"`

	// SuspendDispatching stops the agent from applying changes when true. What
	// is already in the member stays. Default false.
	// +optional
	SuspendDispatching *bool `json:"suspendDispatching,omitempty"`

	// PreserveResourcesOnDeletion leaves the objects in the member when the Work
	// is deleted. Default false.
	// +optional
	PreserveResourcesOnDeletion *bool `json:"preserveResourcesOnDeletion,omitempty"`
}

// WorkloadTemplate holds manifests.
type WorkloadTemplate struct {
	// Manifests are Kubernetes objects, applied in order.
	// +optional
	// +listType=atomic
	Manifests []Manifest `json:"manifests,omitempty"`
}

// Manifest is one Kubernetes object of any kind.
type Manifest struct {
	// +kubebuilder:pruning:PreserveUnknownFields
	runtime.RawExtension `json:",inline"`
}

// WorkStatus is what became of a Work.
type WorkStatus struct {
	// Conditions, at most one of each type.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// ManifestStatuses are what became of each manifest.
	// +optional
	// +listType=atomic
	ManifestStatuses []ManifestStatus `json:"manifestStatuses,omitempty"`
}

// ResourceHealth is a judgement about an object in a member.
// +enum
type ResourceHealth string

const (
	// ResourceHealthy means that the object works as wanted.
	ResourceHealthy ResourceHealth = "Healthy"
	// ResourceUnhealthy means that it does not, or not yet.
	ResourceUnhealthy ResourceHealth = "Unhealthy"
	// ResourceUnknown means that there is no telling.
	ResourceUnknown ResourceHealth = "Unknown"
)

// ManifestStatus is what became of one manifest.
type ManifestStatus struct {
	// Identifier says which manifest.
	Identifier ResourceIdentifier `json:"identifier"`

	// Status is the part of the object's status in the member that the
	// federation is interested in. Its fields depend on the kind.
	// +optional
	Status *runtime.RawExtension `json:"status,omitempty"`

	// Health is a judgement about the object in the member.
	// +optional
	Health ResourceHealth `json:"health,omitempty"`
}

// ResourceIdentifier names a manifest of a Work, and its object in the member.
type ResourceIdentifier struct {
	// Ordinal is the position of the manifest in spec.workload.manifests, from 0.
	Ordinal int `json:"ordinal"`

	// Group of the object; empty for the core group.
	// +optional
	Group string `json:"group,omitempty"`

	// Version of the object's API.
	Version string `json:"version"`

	// Kind of the object.
	Kind string `json:"kind"`

	// Resource is the plural under which the kind is served.
	Resource string `json:"resource"`

	// Namespace of the object; empty when it is cluster-scoped.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the object.
	Name string `json:"name"`
}
