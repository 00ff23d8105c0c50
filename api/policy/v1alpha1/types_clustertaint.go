package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind of the cluster taint policy and the resource it is served at.
const (
	// ResourceKindClusterTaintPolicy is the kind of ClusterTaintPolicy.
	ResourceKindClusterTaintPolicy = "ClusterTaintPolicy"
	// ResourcePluralClusterTaintPolicy is the resource of ClusterTaintPolicy.
	ResourcePluralClusterTaintPolicy = "clustertaintpolicies"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterTaintPolicy puts taints on clusters, and takes them off, by the
// clusters' conditions.
type ClusterTaintPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says which taints, on which clusters, and when.
	Spec ClusterTaintPolicySpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterTaintPolicyList is a list of ClusterTaintPolicies.
type ClusterTaintPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the policies.
	Items []ClusterTaintPolicy `json:"items"`
}

// ClusterTaintPolicySpec says which taints, on which clusters, and when.
type ClusterTaintPolicySpec struct {
	// TargetClusters says which clusters are looked after. Unset: all.
	// +optional
	TargetClusters *ClusterAffinity `json:"targetClusters,omitempty"`

	// AddOnConditions put the taints on when all of them hold. Empty: never.
	// +optional
	// +listType=atomic
	AddOnConditions []MatchCondition `json:"addOnConditions,omitempty"`

	// RemoveOnConditions take the taints off when all of them hold. Empty: never.
	// +optional
	// +listType=atomic
	RemoveOnConditions []MatchCondition `json:"removeOnConditions,omitempty"`

	// Taints are put on and taken off together. At least one.
	// +listType=atomic
	Taints []Taint `json:"taints"`
}

// MatchConditionOperator compares a condition's status with values.
// +enum
type MatchConditionOperator string

const (
	// MatchConditionOpIn holds when the status is one of the values.
	MatchConditionOpIn MatchConditionOperator = "In"
	// MatchConditionOpNotIn holds when the status is none of the values.
	MatchConditionOpNotIn MatchConditionOperator = "NotIn"
)

// MatchCondition is a test on one condition of a cluster.
type MatchCondition struct {
	// ConditionType is the type of the condition, such as Ready. It does not
	// hold for a cluster without that condition.
	ConditionType string `json:"conditionType"`

	// Operator is In or NotIn.
	Operator MatchConditionOperator `json:"operator"`

	// StatusValues are what the status is compared with: True, False, Unknown.
	// +listType=atomic
	StatusValues []metav1.ConditionStatus `json:"statusValues"`
}

// Taint is put on a cluster.
type Taint struct {
	// Key of the taint, a qualified name.
	Key string `json:"key"`

	// Effect is NoSchedule or NoExecute.
	Effect corev1.TaintEffect `json:"effect"`

	// Value of the taint.
	// +optional
	Value string `json:"value,omitempty"`
}
