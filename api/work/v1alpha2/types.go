package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
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

// ResourceBinding is the record about one namespaced template. It lives in the
// template's namespace, is owned by the template and goes with it.
type ResourceBinding struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted, the choice of clusters included.
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

// ClusterResourceBinding is the record about one cluster-scoped template. It is
// owned by the template and goes with it.
type ClusterResourceBinding struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted, the choice of clusters included.
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

// ResourceBindingSpec is the wanted side of a binding. Clusters is written by
// the scheduler, the rest by the binding controller from template and policy.
type ResourceBindingSpec struct {
	// Resource is the template.
	Resource ObjectReference `json:"resource"`

	// PropagateDeps also sends the objects that the template refers to.
	// Default false.
	// +optional
	PropagateDeps bool `json:"propagateDeps,omitempty"`

	// ReplicaRequirements is what one replica needs. Unset for templates
	// without replicas.
	// +optional
	ReplicaRequirements *ReplicaRequirements `json:"replicaRequirements,omitempty"`

	// Replicas is the number of replicas that the template asks for, over all
	// clusters.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// Components are the parts of a template that has several kinds of replicas.
	// +optional
	// +listType=map
	// +listMapKey=name
	Components []Component `json:"components,omitempty"`

	// Clusters are the chosen clusters with the replicas that each has. No
	// entry of a template with replicas holds zero.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []TargetCluster `json:"clusters,omitempty"`

	// GracefulEvictionTasks are clusters that the template is leaving: they are
	// no longer in Clusters, but the copy there is kept for now.
	// +optional
	// +listType=atomic
	GracefulEvictionTasks []GracefulEvictionTask `json:"gracefulEvictionTasks,omitempty"`

	// RequiredBy are the bindings of templates that refer to this one; it goes
	// to their clusters too.
	// +optional
	// +listType=atomic
	RequiredBy []BindingSnapshot `json:"requiredBy,omitempty"`

	// SchedulerName is the scheduler that chooses the clusters.
	// +optional
	SchedulerName string `json:"schedulerName,omitempty"`

	// Placement is that of the policy.
	// +optional
	Placement *policyv1alpha1.Placement `json:"placement,omitempty"`

	// Failover is that of the policy.
	// +optional
	Failover *policyv1alpha1.FailoverBehavior `json:"failover,omitempty"`

	// ConflictResolution says what happens when a member already has an object
	// of that name which the federation does not manage. Default Abort.
	// +optional
	// +default="Abort"
	ConflictResolution policyv1alpha1.ConflictResolution `json:"conflictResolution,omitempty"`

	// RescheduleTriggeredAt asks for a new choice of clusters from scratch, when
	// it is later than status.lastScheduledTime.
	// +optional
	RescheduleTriggeredAt *metav1.Time `json:"rescheduleTriggeredAt,omitempty"`

	// Suspension stops scheduling or the way down to members.
	// +optional
	Suspension *Suspension `json:"suspension,omitempty"`

	// PreserveResourcesOnDeletion leaves what is in the members there when the
	// template is deleted. Default false.
	// +optional
	PreserveResourcesOnDeletion *bool `json:"preserveResourcesOnDeletion,omitempty"`

	// SchedulePriority says how urgent the binding is for the scheduler.
	// +optional
	SchedulePriority *SchedulePriority `json:"schedulePriority,omitempty"`

	// WorkloadAffinityGroups are the groups that the template's labels put it
	// in, by the policy's workload affinity.
	// +optional
	WorkloadAffinityGroups *WorkloadAffinityGroups `json:"workloadAffinityGroups,omitempty"`
}

// ObjectReference names a template.
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

	// UID of the template.
	// +optional
	UID types.UID `json:"uid,omitempty"`

	// ResourceVersion of the template when the binding was last brought up to
	// date with it.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// Suspension stops scheduling, or the way down to members, or both.
type Suspension struct {
	policyv1alpha1.Suspension `json:",inline"`

	// Scheduling stops the scheduler when true; the clusters stay as they are.
	// +optional
	Scheduling *bool `json:"scheduling,omitempty"`
}

// SchedulePriority is how urgent a binding is.
type SchedulePriority struct {
	// Priority orders the scheduler's queue: the higher is served first.
	// Default 0.
	// +optional
	// +default=0
	Priority int32 `json:"priority,omitempty"`
}

// WorkloadAffinityGroups are groups of workloads that stay together or apart.
type WorkloadAffinityGroups struct {
	// AffinityGroup is shared by workloads that go to the same clusters.
	// +optional
	AffinityGroup string `json:"affinityGroup,omitempty"`

	// AntiAffinityGroup is shared by workloads that go to different clusters.
	// +optional
	AntiAffinityGroup string `json:"antiAffinityGroup,omitempty"`
}
