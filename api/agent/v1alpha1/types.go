package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Kind of StatusReport and the resource it is served at.
const (
	// ResourceKindStatusReport is the kind of StatusReport.
	ResourceKindStatusReport = "StatusReport"
	// ResourcePluralStatusReport is the resource of StatusReport.
	ResourcePluralStatusReport = "statusreports"
)

// Reasons for which an observation is not taken.
const (
	// RejectedNotFound means that the cluster has no such Work.
	RejectedNotFound = "NotFound"
	// RejectedStale means that the Work of that name is another one than was
	// observed: its UID differs.
	RejectedStale = "Stale"
	// RejectedInvalid means that the observation could not be read.
	RejectedInvalid = "Invalid"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StatusReport is what an agent has observed of Works since its last report. It
// is created in the cluster's execution namespace and not stored; the answer
// carries the status.
type StatusReport struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec holds the observations.
	Spec StatusReportSpec `json:"spec"`

	// Status says which of them were not taken.
	// +optional
	Status StatusReportStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// StatusReportList is a list of StatusReports. Reports are never stored, so it
// is always empty; it exists because clients expect a list kind.
type StatusReportList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the reports.
	Items []StatusReport `json:"items"`
}

// StatusReportSpec holds observations.
type StatusReportSpec struct {
	// Works are the observations, one per Work.
	// +listType=atomic
	Works []WorkObservation `json:"works"`
}

// WorkObservation is what became of one Work in the member.
type WorkObservation struct {
	// Name of the Work, in the report's namespace.
	Name string `json:"name"`

	// UID of the Work that was observed. An observation of an earlier Work of
	// the same name is rejected as Stale.
	UID types.UID `json:"uid"`

	// Applied is true when the member has taken the manifest.
	Applied bool `json:"applied"`

	// Reason is one CamelCase word for programs, such as AppliedSuccessful or
	// AppliedFailed.
	// +optional
	Reason string `json:"reason,omitempty"`

	// Message says, when the manifest was not applied, which object and field
	// of which cluster are in the way and what to do about it.
	// +optional
	Message string `json:"message,omitempty"`

	// Status is the part of the object's status that the federation is
	// interested in. Its fields depend on the kind.
	// +optional
	Status *runtime.RawExtension `json:"status,omitempty"`

	// Health is Healthy, Unhealthy or Unknown.
	// +optional
	Health string `json:"health,omitempty"`
}

// StatusReportStatus is the answer to a report.
type StatusReportStatus struct {
	// Rejected are the observations that were not taken.
	// +optional
	// +listType=atomic
	Rejected []RejectedObservation `json:"rejected,omitempty"`
}

// RejectedObservation is an observation that was not taken.
type RejectedObservation struct {
	// Name of the Work.
	Name string `json:"name"`

	// Reason is NotFound, Stale or Invalid.
	Reason string `json:"reason"`
}
