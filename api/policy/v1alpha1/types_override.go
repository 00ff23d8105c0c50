package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Kinds of override policies and the resources they are served at.
const (
	// ResourceKindOverridePolicy is the kind of OverridePolicy.
	ResourceKindOverridePolicy = "OverridePolicy"
	// ResourcePluralOverridePolicy is the resource of OverridePolicy.
	ResourcePluralOverridePolicy = "overridepolicies"
	// ResourceKindClusterOverridePolicy is the kind of ClusterOverridePolicy.
	ResourceKindClusterOverridePolicy = "ClusterOverridePolicy"
	// ResourcePluralClusterOverridePolicy is the resource of ClusterOverridePolicy.
	ResourcePluralClusterOverridePolicy = "clusteroverridepolicies"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// OverridePolicy changes manifests of its own namespace on their way to
// clusters. It is applied after every ClusterOverridePolicy.
type OverridePolicy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what is changed, and where.
	Spec OverrideSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// OverridePolicyList is a list of OverridePolicies.
type OverridePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the policies.
	Items []OverridePolicy `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterOverridePolicy changes manifests of any scope on their way to clusters.
type ClusterOverridePolicy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what is changed, and where.
	Spec OverrideSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterOverridePolicyList is a list of ClusterOverridePolicies.
type ClusterOverridePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the policies.
	Items []ClusterOverridePolicy `json:"items"`
}

// OverrideSpec says which manifests are changed for which clusters, and how.
// Policies are applied in the order of their names, and a later one sees what
// an earlier one did.
type OverrideSpec struct {
	// ResourceSelectors choose manifests; one that matches any of them is
	// chosen. Empty: every manifest that the policy can reach.
	// +optional
	// +listType=atomic
	ResourceSelectors []ResourceSelector `json:"resourceSelectors,omitempty"`

	// OverrideRules are applied in order.
	// +optional
	// +listType=atomic
	OverrideRules []RuleWithCluster `json:"overrideRules,omitempty"`

	// TargetCluster says for which clusters Overriders are. It excludes
	// OverrideRules.
	// Deprecated: use OverrideRules.
	// +optional
	TargetCluster *ClusterAffinity `json:"targetCluster,omitempty"`

	// Overriders are the changes for the clusters of TargetCluster. They exclude
	// OverrideRules.
	// Deprecated: use OverrideRules.
	// +optional
	Overriders Overriders `json:"overriders,omitempty"`
}

// RuleWithCluster is a set of changes for a set of clusters.
type RuleWithCluster struct {
	// TargetCluster says for which clusters. Unset: for every cluster.
	// +optional
	TargetCluster *ClusterAffinity `json:"targetCluster,omitempty"`

	// Overriders are the changes.
	Overriders Overriders `json:"overriders"`
}
