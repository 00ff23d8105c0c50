package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind of the federated quota and the resource it is served at.
const (
	// ResourceKindFederatedResourceQuota is the kind of FederatedResourceQuota.
	ResourceKindFederatedResourceQuota = "FederatedResourceQuota"
	// ResourcePluralFederatedResourceQuota is the resource of FederatedResourceQuota.
	ResourcePluralFederatedResourceQuota = "federatedresourcequotas"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// FederatedResourceQuota limits what a namespace may use over all clusters.
type FederatedResourceQuota struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec holds the limits.
	Spec FederatedResourceQuotaSpec `json:"spec"`

	// Status holds what is enforced and used.
	// +optional
	Status FederatedResourceQuotaStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// FederatedResourceQuotaList is a list of FederatedResourceQuotas.
type FederatedResourceQuotaList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the quotas.
	Items []FederatedResourceQuota `json:"items"`
}

// FederatedResourceQuotaSpec holds limits, overall and per cluster.
type FederatedResourceQuotaSpec struct {
	// Overall limits the sum over all clusters, by resource.
	Overall corev1.ResourceList `json:"overall"`

	// StaticAssignments give clusters a fixed part of it, enforced there by a
	// ResourceQuota.
	// +optional
	// +listType=atomic
	StaticAssignments []StaticClusterAssignment `json:"staticAssignments,omitempty"`
}

// StaticClusterAssignment is the part of a quota that one cluster has.
type StaticClusterAssignment struct {
	// ClusterName is the cluster.
	ClusterName string `json:"clusterName"`

	// Hard are the limits in that cluster, by resource.
	Hard corev1.ResourceList `json:"hard"`
}

// FederatedResourceQuotaStatus is what is enforced and used.
type FederatedResourceQuotaStatus struct {
	// Overall are the limits that are enforced.
	// +optional
	Overall corev1.ResourceList `json:"overall,omitempty"`

	// OverallUsed is the sum of what the clusters use.
	// +optional
	OverallUsed corev1.ResourceList `json:"overallUsed,omitempty"`

	// AggregatedStatus is the same by cluster.
	// +optional
	// +listType=atomic
	AggregatedStatus []ClusterQuotaStatus `json:"aggregatedStatus,omitempty"`
}

// ClusterQuotaStatus is what one cluster enforces and uses.
type ClusterQuotaStatus struct {
	// ClusterName is the cluster.
	ClusterName string `json:"clusterName"`

	// ResourceQuotaStatus holds the cluster's limits (hard) and use (used).
	corev1.ResourceQuotaStatus `json:",inline"`
}
