package v1alpha2

import corev1 "k8s.io/api/core/v1"

// ReplicaRequirements is what one replica needs of a cluster.
type ReplicaRequirements struct {
	// NodeClaim is what it needs of a node.
	// +optional
	NodeClaim *NodeClaim `json:"nodeClaim,omitempty"`

	// ResourceRequest are the resources that it requests.
	// +optional
	ResourceRequest corev1.ResourceList `json:"resourceRequest,omitempty"`

	// Namespace is where it runs, for clusters whose quotas differ by namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// PriorityClassName is its priority class in the member.
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`
}

// ComponentReplicaRequirements is what one replica of a component needs of a
// cluster. The namespace is the same for all components and not repeated.
type ComponentReplicaRequirements struct {
	// NodeClaim is what it needs of a node.
	// +optional
	NodeClaim *NodeClaim `json:"nodeClaim,omitempty"`

	// ResourceRequest are the resources that it requests.
	// +optional
	ResourceRequest corev1.ResourceList `json:"resourceRequest,omitempty"`

	// PriorityClassName is its priority class in the member.
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`
}

// NodeClaim is what a replica needs of a node.
type NodeClaim struct {
	// HardNodeAffinity is the required part of its node affinity.
	// +optional
	HardNodeAffinity *corev1.NodeSelector `json:"hardNodeAffinity,omitempty"`

	// NodeSelector are labels that the node must have.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations are the taints of nodes that it puts up with.
	// +optional
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// Component is one kind of replicas of a template that has several.
type Component struct {
	// Name tells the components of a template apart, such as jobmanager. At
	// most 32 characters.
	Name string `json:"name"`

	// Replicas is the number of replicas of this component.
	Replicas int32 `json:"replicas"`

	// ReplicaRequirements is what one of them needs.
	// +optional
	ReplicaRequirements *ComponentReplicaRequirements `json:"replicaRequirements,omitempty"`
}

// TargetCluster is a chosen cluster with its share.
type TargetCluster struct {
	// Name of the cluster.
	Name string `json:"name"`

	// Replicas that the cluster has. Left out for templates without replicas.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// Components are the cluster's share by component.
	// +optional
	// +listType=map
	// +listMapKey=name
	Components []TargetComponent `json:"components,omitempty"`
}

// TargetComponent is a cluster's share of one component.
type TargetComponent struct {
	// Name of the component.
	Name string `json:"name"`

	// Replicas of the component that the cluster has.
	Replicas int32 `json:"replicas"`
}

// BindingSnapshot is another binding and the clusters it had when this one was
// last brought up to date with it.
type BindingSnapshot struct {
	// Namespace of the binding; empty when it is cluster-scoped.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the binding.
	Name string `json:"name"`

	// Clusters are the clusters that were chosen for it.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []TargetCluster `json:"clusters,omitempty"`
}
