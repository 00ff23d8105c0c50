package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Types of conditions on a binding.
const (
	// Scheduled is True when spec.clusters is the scheduler's decision for the
	// present spec.
	Scheduled = "Scheduled"
	// FullyApplied is True when every chosen cluster has applied its share.
	FullyApplied = "FullyApplied"
)

// Reasons of conditions on a binding.
const (
	// BindingReasonSuccess is the reason of Scheduled being True.
	BindingReasonSuccess = "Success"
	// BindingReasonSchedulerError means that the scheduler failed and tries again.
	BindingReasonSchedulerError = "SchedulerError"
	// BindingReasonNoClusterFit means that no cluster passes the filters.
	BindingReasonNoClusterFit = "NoClusterFit"
	// BindingReasonUnschedulable means that the clusters have too little room.
	BindingReasonUnschedulable = "Unschedulable"
	// BindingReasonQuotaExceeded means that a federated quota is used up.
	BindingReasonQuotaExceeded = "QuotaExceeded"
	// FullyAppliedSuccessReason is the reason of FullyApplied being True.
	FullyAppliedSuccessReason = "FullyAppliedSuccess"
	// FullyAppliedFailedReason is the reason of FullyApplied being False.
	FullyAppliedFailedReason = "FullyAppliedFailed"
)

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

// ResourceBindingStatus is the observed side of a binding.
type ResourceBindingStatus struct {
	// SchedulerObservedGeneration is the metadata.generation of the binding that
	// the scheduler has last dealt with.
	// +optional
	SchedulerObservedGeneration int64 `json:"schedulerObservedGeneration,omitempty"`

	// SchedulerObservingAffinityName is the name of the affinity group that is
	// used, when the placement has several.
	// +optional
	SchedulerObservingAffinityName string `json:"schedulerObservingAffinityName,omitempty"`

	// LastScheduledTime is when the scheduler last decided.
	// +optional
	LastScheduledTime *metav1.Time `json:"lastScheduledTime,omitempty"`

	// Conditions are Scheduled and FullyApplied; at most one of each type.
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

	// Health is a judgement about the object in the member.
	// +optional
	Health ResourceHealth `json:"health,omitempty"`
}
