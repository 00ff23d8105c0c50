package agent

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// ConditionIdentity is False on a Cluster whose agent cannot renew its certificate.
	ConditionIdentity = "AgentIdentity"
	// ReasonNotRenewed is its reason.
	ReasonNotRenewed = "CertificateNotRenewed"
)

// identityCondition is the condition AgentIdentity: empty while there is nothing to say.
func (a *Agent) identityCondition() metav1.Condition {
	if a.opts.IdentityTrouble == nil {
		return metav1.Condition{}
	}
	err := a.opts.IdentityTrouble()
	if err == nil {
		return metav1.Condition{}
	}
	return metav1.Condition{Status: metav1.ConditionFalse, Reason: ReasonNotRenewed, Message: err.Error()}
}

const (
	// ConditionStateKept is False on a Cluster whose agent cannot write its state directory.
	ConditionStateKept = "AgentStateKept"
	// ReasonStateDirectory is its reason.
	ReasonStateDirectory = "StateDirectoryNotWritable"
)

// stateCondition is the condition AgentStateKept: empty while there is nothing to say.
func (a *Agent) stateCondition() metav1.Condition {
	err := a.store.Trouble()
	if err == nil {
		return metav1.Condition{}
	}
	return metav1.Condition{
		Status: metav1.ConditionFalse,
		Reason: ReasonStateDirectory,
		Message: fmt.Sprintf("The agent of cluster %s works on, but what it should remember is in its memory only: %v. Make room in its state directory, or let it write there",
			a.opts.ClusterName, err),
	}
}
