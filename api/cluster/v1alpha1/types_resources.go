package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ResourceModel describes one grade of node sizes.
type ResourceModel struct {
	// Grade numbers the model, from 0 for the smallest nodes upwards.
	Grade int32 `json:"grade"`
	// Ranges bound the free resources of a node of this grade; one per resource.
	// +listType=atomic
	Ranges []ResourceModelRange `json:"ranges"`
}

// ResourceModelRange is the half-open interval [Min, Max) of one resource.
type ResourceModelRange struct {
	// Name of the resource, such as cpu or memory.
	Name corev1.ResourceName `json:"name"`
	// Min is the smallest amount that is inside the range.
	Min resource.Quantity `json:"min"`
	// Max is the smallest amount that is beyond the range.
	Max resource.Quantity `json:"max"`
}

// NodeSummary counts the nodes of a member.
type NodeSummary struct {
	// TotalNum is the number of nodes.
	// +optional
	TotalNum int32 `json:"totalNum,omitempty"`
	// ReadyNum is the number of nodes that are ready.
	// +optional
	ReadyNum int32 `json:"readyNum,omitempty"`
}

// ResourceSummary sums resources over the nodes of a member.
type ResourceSummary struct {
	// Allocatable is what the nodes offer to pods.
	// +optional
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`
	// Allocating is what pods request that wait to be scheduled.
	// +optional
	Allocating corev1.ResourceList `json:"allocating,omitempty"`
	// Allocated is what pods request that are on a node.
	// +optional
	Allocated corev1.ResourceList `json:"allocated,omitempty"`
	// AllocatableModelings counts nodes by grade, one entry per resource model.
	// +optional
	// +listType=atomic
	AllocatableModelings []AllocatableModeling `json:"allocatableModelings,omitempty"`
}

// AllocatableModeling is the number of nodes of one grade.
type AllocatableModeling struct {
	// Grade is that of a model in the Cluster's spec.resourceModels.
	Grade int32 `json:"grade"`
	// Count is the number of nodes whose free resources are in this grade.
	Count int32 `json:"count"`
}
