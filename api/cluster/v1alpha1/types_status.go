package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Types of conditions on a Cluster.
const (
	// ClusterConditionReady is True while the member answers and its lease (in
	// Pull mode) is renewed, False when it answers that it is not healthy, and
	// Unknown when nothing has been heard of it for the grace period.
	ClusterConditionReady = "Ready"
	// ClusterConditionCompleteAPIEnablements is True when status.apiEnablements
	// lists everything the member serves, False when some of its groups could
	// not be discovered.
	ClusterConditionCompleteAPIEnablements = "CompleteAPIEnablements"
)

// ClusterStatus is the observed side of a Cluster. It is written only when
// something in it changes; liveness is in a Lease.
type ClusterStatus struct {
	// KubernetesVersion is the member's server version, such as v1.36.3.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`

	// APIEnablements are the API groups and resources that the member serves.
	// +optional
	// +listType=atomic
	APIEnablements []APIEnablement `json:"apiEnablements,omitempty"`

	// Conditions are the latest judgements about the member; at most one of each type.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// NodeSummary counts the member's nodes.
	// +optional
	NodeSummary *NodeSummary `json:"nodeSummary,omitempty"`

	// ResourceSummary sums the resources of the member's nodes.
	// +optional
	ResourceSummary *ResourceSummary `json:"resourceSummary,omitempty"`

	// RemedyActions are what remedies ask to be done about the member, such as
	// TrafficControl.
	// +optional
	// +listType=atomic
	RemedyActions []string `json:"remedyActions,omitempty"`
}

// APIEnablement is one API group version that a member serves.
type APIEnablement struct {
	// GroupVersion is <group>/<version>, or the version alone for the core group.
	GroupVersion string `json:"groupVersion"`
	// Resources are those of the group version.
	// +optional
	// +listType=atomic
	Resources []APIResource `json:"resources,omitempty"`
}

// APIResource is one resource that a member serves.
type APIResource struct {
	// Name is the plural that is used in paths, such as deployments.
	Name string `json:"name"`
	// Kind of the objects, such as Deployment.
	Kind string `json:"kind"`
}
