package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Placement says which clusters are chosen and how replicas are divided.
type Placement struct {
	// ClusterAffinity restricts the clusters. Unset: every cluster. It excludes
	// ClusterAffinities.
	// +optional
	ClusterAffinity *ClusterAffinity `json:"clusterAffinity,omitempty"`

	// ClusterAffinities are groups of clusters in order of preference: the
	// first that can take the template is used, the next is tried when it
	// cannot. It excludes ClusterAffinity.
	// +optional
	// +listType=atomic
	ClusterAffinities []ClusterAffinityTerm `json:"clusterAffinities,omitempty"`

	// ClusterTolerations are the taints of clusters that are put up with.
	// +optional
	// +listType=atomic
	ClusterTolerations []corev1.Toleration `json:"clusterTolerations,omitempty"`

	// SpreadConstraints say over how many groups of clusters to spread.
	// +optional
	// +listType=atomic
	SpreadConstraints []SpreadConstraint `json:"spreadConstraints,omitempty"`

	// ReplicaScheduling says how replicas are divided. Unset: each cluster gets
	// the full count.
	// +optional
	ReplicaScheduling *ReplicaSchedulingStrategy `json:"replicaScheduling,omitempty"`

	// WorkloadAffinity keeps workloads together in clusters, or apart.
	// +optional
	WorkloadAffinity *WorkloadAffinity `json:"workloadAffinity,omitempty"`
}

// ClusterAffinity restricts clusters. A cluster has to satisfy everything that
// is given; an empty affinity admits every cluster.
type ClusterAffinity struct {
	// LabelSelector is matched with the labels of the Cluster.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`

	// FieldSelector is matched with fields of the Cluster's spec.
	// +optional
	FieldSelector *FieldSelector `json:"fieldSelector,omitempty"`

	// ClusterNames are the only clusters that are admitted. Empty: not
	// restricted by name.
	// +optional
	// +listType=atomic
	ClusterNames []string `json:"clusterNames,omitempty"`

	// ExcludeClusters are never admitted, whatever else matches.
	// +optional
	// +listType=atomic
	ExcludeClusters []string `json:"exclude,omitempty"`
}

// FieldSelector matches fields of a Cluster's spec; all expressions must hold.
type FieldSelector struct {
	// MatchExpressions compare a field (key: provider, region or zone) with
	// values (operator: In or NotIn). A cluster has several zones: In holds
	// when all of them are among the values, NotIn when none is.
	// +optional
	// +listType=atomic
	MatchExpressions []corev1.NodeSelectorRequirement `json:"matchExpressions,omitempty"`
}

// Keys that a FieldSelector may use.
const (
	// ProviderField is spec.provider of a Cluster.
	ProviderField = "provider"
	// RegionField is spec.region of a Cluster.
	RegionField = "region"
	// ZoneField is spec.zones of a Cluster.
	ZoneField = "zone"
)

// ClusterAffinityTerm is one group of clusters with a name.
type ClusterAffinityTerm struct {
	// AffinityName tells the groups of a placement apart; it is reported in the
	// binding's status. 1 to 32 characters.
	AffinityName string `json:"affinityName"`

	// ClusterAffinity says which clusters are in the group.
	ClusterAffinity `json:",inline"`

	// OverflowAffinities are further groups, in order, that take the replicas
	// for which this group has no room.
	// +optional
	// +listType=atomic
	OverflowAffinities []OverflowAffinityTerm `json:"overflowAffinities,omitempty"`
}

// OverflowAffinityTerm is a group of clusters that another one overflows into.
type OverflowAffinityTerm struct {
	// AffinityName tells the overflow groups of a term apart. 1 to 32 characters.
	AffinityName string `json:"affinityName"`

	// ClusterAffinity says which clusters are in the group.
	ClusterAffinity `json:",inline"`
}

// SpreadFieldValue names a property by which clusters are grouped.
// +enum
type SpreadFieldValue string

const (
	// SpreadByFieldCluster makes every cluster its own group.
	SpreadByFieldCluster SpreadFieldValue = "cluster"
	// SpreadByFieldRegion groups by spec.region.
	SpreadByFieldRegion SpreadFieldValue = "region"
	// SpreadByFieldZone groups by spec.zones.
	SpreadByFieldZone SpreadFieldValue = "zone"
	// SpreadByFieldProvider groups by spec.provider.
	SpreadByFieldProvider SpreadFieldValue = "provider"
)

// SpreadConstraint says over how many groups of clusters to spread.
type SpreadConstraint struct {
	// SpreadByField groups clusters by a field. It excludes SpreadByLabel.
	// Default cluster, when SpreadByLabel is empty too.
	// +optional
	SpreadByField SpreadFieldValue `json:"spreadByField,omitempty"`

	// SpreadByLabel groups clusters by the value of a label. It excludes
	// SpreadByField.
	// +optional
	SpreadByLabel string `json:"spreadByLabel,omitempty"`

	// MaxGroups is the largest number of groups to choose. 0: no limit.
	// +optional
	MaxGroups int `json:"maxGroups,omitempty"`

	// MinGroups is the smallest number of groups to choose; with fewer
	// available nothing is scheduled. Default 1.
	// +optional
	MinGroups int `json:"minGroups,omitempty"`
}

// WorkloadAffinity keeps workloads together or apart, by cluster.
type WorkloadAffinity struct {
	// Affinity sends workloads of one group to the same clusters.
	// +optional
	Affinity *WorkloadAffinityTerm `json:"affinity,omitempty"`

	// AntiAffinity sends workloads of one group to different clusters.
	// +optional
	AntiAffinity *WorkloadAntiAffinityTerm `json:"antiAffinity,omitempty"`
}

// WorkloadAffinityTerm says which workloads belong together.
type WorkloadAffinityTerm struct {
	// GroupByLabelKey is a label key; templates with the same value are a group.
	// Templates without the label are in no group.
	GroupByLabelKey string `json:"groupByLabelKey"`
}

// WorkloadAntiAffinityTerm says which workloads keep apart.
type WorkloadAntiAffinityTerm struct {
	// GroupByLabelKey is a label key; templates with the same value are a group.
	// Templates without the label are in no group.
	GroupByLabelKey string `json:"groupByLabelKey"`
}
