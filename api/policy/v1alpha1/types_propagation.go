package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Kinds of propagation policies and the resources they are served at.
const (
	// ResourceKindPropagationPolicy is the kind of PropagationPolicy.
	ResourceKindPropagationPolicy = "PropagationPolicy"
	// ResourcePluralPropagationPolicy is the resource of PropagationPolicy.
	ResourcePluralPropagationPolicy = "propagationpolicies"
	// ResourceKindClusterPropagationPolicy is the kind of ClusterPropagationPolicy.
	ResourceKindClusterPropagationPolicy = "ClusterPropagationPolicy"
	// ResourcePluralClusterPropagationPolicy is the resource of ClusterPropagationPolicy.
	ResourcePluralClusterPropagationPolicy = "clusterpropagationpolicies"
)

// DefaultSchedulerName is the scheduler that serves bindings without a name of
// their own choice.
const DefaultSchedulerName = "default-scheduler"

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// PropagationPolicy sends templates of its own namespace to clusters.
type PropagationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says which templates go where.
	Spec PropagationSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// PropagationPolicyList is a list of PropagationPolicies.
type PropagationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the policies.
	Items []PropagationPolicy `json:"items"`
}

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterPropagationPolicy sends cluster-scoped templates, and templates of any
// namespace that is not reserved, to clusters. A PropagationPolicy that matches
// the same template wins over it.
type ClusterPropagationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says which templates go where.
	Spec PropagationSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterPropagationPolicyList is a list of ClusterPropagationPolicies.
type ClusterPropagationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the policies.
	Items []ClusterPropagationPolicy `json:"items"`
}

// PropagationSpec says which templates a policy claims and where they go.
type PropagationSpec struct {
	// ResourceSelectors choose templates; one that matches any of them is
	// chosen. At least one is needed.
	// +listType=atomic
	ResourceSelectors []ResourceSelector `json:"resourceSelectors"`

	// Association was the former name of propagateDeps.
	// Deprecated: it has no effect.
	// +optional
	Association bool `json:"association,omitempty"`

	// PropagateDeps also sends the objects that a template refers to, such as
	// the ConfigMaps of a Deployment, to the template's clusters. Default false.
	// +optional
	PropagateDeps bool `json:"propagateDeps,omitempty"`

	// Placement says which clusters are chosen and how replicas are divided
	// among them. Empty: every cluster, full count each.
	// +optional
	Placement Placement `json:"placement,omitempty"`

	// Priority decides between policies of the same scope that match one
	// template: the higher wins. Equal priorities fall back to how exact the
	// selector is and then to the policy's name. Default 0; negative is allowed.
	// +optional
	// +default=0
	Priority *int32 `json:"priority,omitempty"`

	// Preemption says whether this policy takes templates over that a policy of
	// lower priority has already claimed. Default Never.
	// +optional
	// +default="Never"
	Preemption PreemptionBehavior `json:"preemption,omitempty"`

	// DependentOverrides names override policies that must exist before
	// anything is sent.
	// +optional
	// +listType=atomic
	DependentOverrides []string `json:"dependentOverrides,omitempty"`

	// SchedulerName is the scheduler that chooses the clusters. Default
	// default-scheduler.
	// +optional
	// +default="default-scheduler"
	SchedulerName string `json:"schedulerName,omitempty"`

	// Failover says when and how an application leaves a cluster that fails it.
	// Unset: it stays.
	// +optional
	Failover *FailoverBehavior `json:"failover,omitempty"`

	// ConflictResolution says what happens when a member already has an object
	// of that name which the federation does not manage. Default Abort.
	// +optional
	// +default="Abort"
	ConflictResolution ConflictResolution `json:"conflictResolution,omitempty"`

	// ActivationPreference says when a change of the policy reaches templates
	// that it has already claimed. Unset: at once.
	// +optional
	ActivationPreference ActivationPreference `json:"activationPreference,omitempty"`

	// Suspension stops sending changes to members. Unset: nothing is stopped.
	// +optional
	Suspension *Suspension `json:"suspension,omitempty"`

	// PreserveResourcesOnDeletion leaves what is in the members there when the
	// template is deleted. Default false: it is deleted too.
	// +optional
	PreserveResourcesOnDeletion *bool `json:"preserveResourcesOnDeletion,omitempty"`

	// SchedulePriority says how urgent the templates are when many wait for the
	// scheduler. Unset: priority 0.
	// +optional
	SchedulePriority *SchedulePriority `json:"schedulePriority,omitempty"`
}

// ResourceSelector chooses templates by kind, and further by name or labels.
type ResourceSelector struct {
	// APIVersion of the templates, such as apps/v1.
	APIVersion string `json:"apiVersion"`

	// Kind of the templates, such as Deployment.
	Kind string `json:"kind"`

	// Namespace of the templates. In a namespaced policy it is the policy's own
	// and may be left out; in a cluster-scoped one, empty means every namespace.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the one template that is meant. Empty: not restricted by name.
	// When it is set, LabelSelector is not looked at.
	// +optional
	Name string `json:"name,omitempty"`

	// LabelSelector restricts by labels. Unset: not restricted by labels.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
}

// PreemptionBehavior says whether a policy takes claimed templates over.
// +enum
type PreemptionBehavior string

const (
	// PreemptAlways takes a template over from a policy of lower priority.
	PreemptAlways PreemptionBehavior = "Always"
	// PreemptNever leaves existing claims alone.
	PreemptNever PreemptionBehavior = "Never"
)

// ConflictResolution says what to do about an unmanaged object in the way.
// +enum
type ConflictResolution string

const (
	// ConflictOverwrite takes the object over and overwrites it.
	ConflictOverwrite ConflictResolution = "Overwrite"
	// ConflictAbort leaves the object alone and reports the conflict.
	ConflictAbort ConflictResolution = "Abort"
)

// ActivationPreference says when policy changes take effect.
// +enum
type ActivationPreference string

const (
	// LazyActivation waits for the next change of the template.
	LazyActivation ActivationPreference = "Lazy"
)

// Suspension stops the way down to members.
type Suspension struct {
	// Dispatching stops it for every cluster when true. What is already in the
	// members stays. It cannot be combined with DispatchingOnClusters.
	// +optional
	Dispatching *bool `json:"dispatching,omitempty"`

	// DispatchingOnClusters stops it for some clusters.
	// +optional
	DispatchingOnClusters *SuspendClusters `json:"dispatchingOnClusters,omitempty"`
}

// SuspendClusters is a set of clusters.
type SuspendClusters struct {
	// ClusterNames are the clusters.
	// +optional
	// +listType=atomic
	ClusterNames []string `json:"clusterNames,omitempty"`
}

// PriorityClassSource says where a priority class is looked up.
// +enum
type PriorityClassSource string

const (
	// KubePriorityClass is a PriorityClass (scheduling.k8s.io) of the federation.
	KubePriorityClass PriorityClassSource = "KubePriorityClass"
)

// SchedulePriority refers to a priority class.
type SchedulePriority struct {
	// PriorityClassSource says where PriorityClassName is looked up.
	PriorityClassSource PriorityClassSource `json:"priorityClassSource"`

	// PriorityClassName is the name of the class, whose value becomes the
	// priority. A class that does not exist makes the policy fail.
	PriorityClassName string `json:"priorityClassName"`
}
