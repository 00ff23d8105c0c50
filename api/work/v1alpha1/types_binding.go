package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Kinds of bindings and the resources they are served at.
const (
	// ResourceKindResourceBinding is the kind of ResourceBinding.
	ResourceKindResourceBinding = "ResourceBinding"
	// ResourcePluralResourceBinding is the resource of ResourceBinding.
	ResourcePluralResourceBinding = "resourcebindings"
	// ResourceKindClusterResourceBinding is the kind of ClusterResourceBinding.
	ResourceKindClusterResourceBinding = "ClusterResourceBinding"
	// ResourcePluralClusterResourceBinding is the resource of ClusterResourceBinding.
	ResourcePluralClusterResourceBinding = "clusterresourcebindings"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceBinding is the record about one namespaced template.
// Deprecated: use v1alpha2.
type ResourceBinding struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	Spec ResourceBindingSpec `json:"spec"`

	// Status is what became of it.
	// +optional
	Status ResourceBindingStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ResourceBindingList is a list of ResourceBindings.
type ResourceBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the bindings.
	Items []ResourceBinding `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceBinding is the record about one cluster-scoped template.
// Deprecated: use v1alpha2.
type ClusterResourceBinding struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	Spec ResourceBindingSpec `json:"spec"`

	// Status is what became of it.
	// +optional
	Status ResourceBindingStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterResourceBindingList is a list of ClusterResourceBindings.
type ClusterResourceBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the bindings.
	Items []ClusterResourceBinding `json:"items"`
}

// ResourceBindingSpec is the wanted side of a binding.
type ResourceBindingSpec struct {
	// Resource is the template and its replicas.
	Resource ObjectReference `json:"resource"`

	// Clusters are the chosen clusters with the replicas that each has.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []TargetCluster `json:"clusters,omitempty"`
}

// ObjectReference names a template and says what its replicas need.
type ObjectReference struct {
	// APIVersion of the template, such as apps/v1.
	APIVersion string `json:"apiVersion"`

	// Kind of the template, such as Deployment.
	Kind string `json:"kind"`

	// Namespace of the template; empty when it is cluster-scoped.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the template.
	Name string `json:"name"`

	// ResourceVersion of the template when the binding was last brought up to
	// date with it.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`

	// ReplicaResourceRequirements are the resources that one replica requests.
	// +optional
	ReplicaResourceRequirements corev1.ResourceList `json:"resourcePerReplicas,omitempty"`

	// Replicas is the number of replicas that the template asks for.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
}

// TargetCluster is a chosen cluster with its share.
type TargetCluster struct {
	// Name of the cluster.
	Name string `json:"name"`

	// Replicas that the cluster has. Left out for templates without replicas.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
}

// ResourceBindingStatus is the observed side of a binding.
type ResourceBindingStatus struct {
	// Conditions, at most one of each type.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// AggregatedStatus is what became of the template, cluster by cluster.
	// +optional
	// +listType=map
	// +listMapKey=clusterName
	AggregatedStatus []AggregatedStatusItem `json:"aggregatedStatus,omitempty"`
}

// AggregatedStatusItem is what became of the template in one cluster.
type AggregatedStatusItem struct {
	// ClusterName is the cluster.
	ClusterName string `json:"clusterName"`

	// Status is the part of the object's status in the member that the
	// federation is interested in. Its fields depend on the kind.
	// +optional
	Status *runtime.RawExtension `json:"status,omitempty"`

	// Applied is true when the member has taken the manifest.
	// +optional
	Applied bool `json:"applied,omitempty"`

	// AppliedMessage says why it has not, when it has not.
	// +optional
	AppliedMessage string `json:"appliedMessage,omitempty"`
}
