package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// Reasons and producers of eviction tasks.
const (
	// EvictionReasonTaintUntolerated is given when a cluster has a NoExecute
	// taint that the binding does not tolerate.
	EvictionReasonTaintUntolerated = "TaintUntolerated"
	// EvictionReasonApplicationFailure is given when the application was
	// unhealthy in the cluster for too long.
	EvictionReasonApplicationFailure = "ApplicationFailure"
	// EvictionProducerTaintManager is the producer that watches taints.
	EvictionProducerTaintManager = "TaintManager"
)

// GracefulEvictionTask is about one cluster that a template is leaving.
type GracefulEvictionTask struct {
	// FromCluster is the cluster that is left.
	FromCluster string `json:"fromCluster"`

	// PurgeMode says when the copy there is deleted.
	// +optional
	PurgeMode policyv1alpha1.PurgeMode `json:"purgeMode,omitempty"`

	// Replicas that the cluster had.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// Reason is one CamelCase word for programs, 1 to 32 characters.
	Reason string `json:"reason"`

	// Message explains the reason to people, up to 1024 characters.
	// +optional
	Message string `json:"message,omitempty"`

	// Producer is the controller that asked for the eviction.
	Producer string `json:"producer"`

	// GracePeriodSeconds is how long, in seconds, the copy is kept at most.
	// Unset: the control plane's own period. It excludes SuppressDeletion.
	// +optional
	GracePeriodSeconds *int32 `json:"gracePeriodSeconds,omitempty"`

	// SuppressDeletion keeps the copy until a person decides: set it to false,
	// or to nothing, to let it go. It excludes GracePeriodSeconds.
	// +optional
	SuppressDeletion *bool `json:"suppressDeletion,omitempty"`

	// CreationTimestamp is when the server recorded the task; the grace period
	// starts then.
	// +optional
	CreationTimestamp *metav1.Time `json:"creationTimestamp,omitempty"`

	// PreservedLabelState are labels, taken from the copy's status, that the
	// replacement starts with.
	// +optional
	PreservedLabelState map[string]string `json:"preservedLabelState,omitempty"`

	// ClustersBeforeFailover are the clusters that the template was on when the
	// failover began; PreservedLabelState goes only to clusters not among them.
	// +optional
	// +listType=atomic
	ClustersBeforeFailover []string `json:"clustersBeforeFailover,omitempty"`
}
