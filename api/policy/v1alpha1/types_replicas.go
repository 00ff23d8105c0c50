package v1alpha1

// ReplicaSchedulingType says whether clusters share replicas or each get all.
// +enum
type ReplicaSchedulingType string

const (
	// ReplicaSchedulingTypeDuplicated gives every cluster the full count.
	ReplicaSchedulingTypeDuplicated ReplicaSchedulingType = "Duplicated"
	// ReplicaSchedulingTypeDivided divides the count over the clusters.
	ReplicaSchedulingTypeDivided ReplicaSchedulingType = "Divided"
)

// ReplicaDivisionPreference says how a count is divided.
// +enum
type ReplicaDivisionPreference string

const (
	// ReplicaDivisionPreferenceAggregated uses as few clusters as have room.
	ReplicaDivisionPreferenceAggregated ReplicaDivisionPreference = "Aggregated"
	// ReplicaDivisionPreferenceWeighted divides in proportion to weights.
	ReplicaDivisionPreferenceWeighted ReplicaDivisionPreference = "Weighted"
)

// DynamicWeightFactor is something measured that serves as a weight.
// +enum
type DynamicWeightFactor string

const (
	// DynamicWeightByAvailableReplicas weighs a cluster by how many more
	// replicas it has room for.
	DynamicWeightByAvailableReplicas DynamicWeightFactor = "AvailableReplicas"
)

// ReplicaSchedulingStrategy says how replicas are divided over clusters.
type ReplicaSchedulingStrategy struct {
	// ReplicaSchedulingType is Duplicated (each cluster gets the full count) or
	// Divided (they share it). Default Divided.
	// +optional
	// +default="Divided"
	ReplicaSchedulingType ReplicaSchedulingType `json:"replicaSchedulingType,omitempty"`

	// ReplicaDivisionPreference is Aggregated or Weighted; it is looked at when
	// the type is Divided, and is Weighted then if it is not set.
	// +optional
	ReplicaDivisionPreference ReplicaDivisionPreference `json:"replicaDivisionPreference,omitempty"`

	// WeightPreference gives the weights when the preference is Weighted, and is
	// not looked at otherwise.
	// Unset: all clusters weigh the same.
	// +optional
	WeightPreference *ClusterPreferences `json:"weightPreference,omitempty"`
}

// ClusterPreferences gives weights to clusters, fixed or measured.
type ClusterPreferences struct {
	// StaticWeightList gives fixed weights. It is not looked at when
	// DynamicWeight is set.
	// +optional
	// +listType=atomic
	StaticWeightList []StaticClusterWeight `json:"staticWeightList,omitempty"`

	// DynamicWeight takes the weights from what clusters have free. It excludes
	// StaticWeightList.
	// +optional
	DynamicWeight DynamicWeightFactor `json:"dynamicWeight,omitempty"`
}

// StaticClusterWeight gives one weight to a set of clusters.
type StaticClusterWeight struct {
	// TargetCluster says which clusters have this weight. A cluster that is in
	// several sets has the highest weight of them.
	TargetCluster ClusterAffinity `json:"targetCluster"`

	// Weight is relative to the other clusters' weights. At least 1.
	Weight int64 `json:"weight"`
}
