package v1alpha1

// FailoverBehavior says when and how an application leaves a cluster.
type FailoverBehavior struct {
	// Application is about an application that is unhealthy in its cluster.
	// Unset: an unhealthy application stays.
	// +optional
	Application *ApplicationFailoverBehavior `json:"application,omitempty"`

	// Cluster is about a cluster that failed as a whole.
	// +optional
	Cluster *ClusterFailoverBehavior `json:"cluster,omitempty"`
}

// PurgeMode says what happens to the copy that is left behind.
// +enum
type PurgeMode string

const (
	// PurgeModeDirectly deletes the copy at once and then starts elsewhere: for
	// applications that must not run twice.
	PurgeModeDirectly PurgeMode = "Directly"
	// PurgeModeGracefully deletes the copy once the replacement is healthy, or
	// when the grace period is over.
	PurgeModeGracefully PurgeMode = "Gracefully"
	// PurgeModeNever leaves the copy; a person deletes it.
	PurgeModeNever PurgeMode = "Never"
)

// ApplicationFailoverBehavior moves an unhealthy application.
type ApplicationFailoverBehavior struct {
	// DecisionConditions say when to move it.
	DecisionConditions DecisionConditions `json:"decisionConditions"`

	// PurgeMode says what happens to the copy that is left behind. Default
	// Gracefully.
	// +optional
	// +default="Gracefully"
	PurgeMode PurgeMode `json:"purgeMode,omitempty"`

	// GracePeriodSeconds is how long, in seconds, the copy is kept at most while
	// its replacement becomes healthy. Only with PurgeMode Gracefully. Unset:
	// the control plane's own period.
	// +optional
	GracePeriodSeconds *int32 `json:"gracePeriodSeconds,omitempty"`

	// StatePreservation carries parts of the old copy's status over to the new.
	// +optional
	StatePreservation *StatePreservation `json:"statePreservation,omitempty"`
}

// DecisionConditions say when an application is moved.
type DecisionConditions struct {
	// TolerationSeconds is how long, in seconds, an application may stay
	// unhealthy before it is moved. Default 300.
	// +optional
	// +default=300
	TolerationSeconds *int32 `json:"tolerationSeconds,omitempty"`
}

// ClusterFailoverBehavior moves applications off a failed cluster.
type ClusterFailoverBehavior struct {
	// PurgeMode says what happens to the copies on the failed cluster: Directly
	// or Gracefully. Default Gracefully.
	// +optional
	// +default="Gracefully"
	PurgeMode PurgeMode `json:"purgeMode,omitempty"`

	// StatePreservation carries parts of the old copy's status over to the new.
	// +optional
	StatePreservation *StatePreservation `json:"statePreservation,omitempty"`
}

// StatePreservation takes values out of a copy's status and puts them as labels
// on its replacement.
type StatePreservation struct {
	// Rules say which values.
	// +listType=atomic
	Rules []StatePreservationRule `json:"rules"`
}

// StatePreservationRule takes one value over.
type StatePreservationRule struct {
	// AliasLabelName is the key of the label that carries the value.
	AliasLabelName string `json:"aliasLabelName"`

	// JSONPath finds the value within the copy's status, in the syntax of
	// kubectl -o jsonpath, such as {.jobStatus.state}. A path that finds
	// nothing, or more than one value, is an error.
	JSONPath string `json:"jsonPath"`
}
