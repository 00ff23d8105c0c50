package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

const (
	// ConditionFederationAccepted is False on a Cluster whose agent belongs to another federation.
	ConditionFederationAccepted = "FederationAccepted"
	// ReasonOtherFederation is its reason, and that of Ready then.
	ReasonOtherFederation = "OtherFederation"
)

// ErrOtherFederation means that the federation that answers is not the one this agent belongs to.
var ErrOtherFederation = errors.New("this agent belongs to another federation")

// ErrOtherMember means that the state directory is about another cluster.
var ErrOtherMember = errors.New("the state directory belongs to another cluster")

// checkMember makes sure that what is remembered is about the cluster that answers. Without it, a wrong
// kubeconfig would bring one cluster's workloads into another before the federation could object.
func checkMember(store *inventory.Store, dir string, found types.UID) error {
	known, err := store.Member()
	switch {
	case err != nil:
		return err
	case known == "":
		return store.SetMember(found)
	case known != found:
		return fmt.Errorf("%w: %s is about the cluster with UID %s, the one that answers has %s. Check --kubeconfig, or use another --state-dir",
			ErrOtherMember, dir, known, found)
	}
	return nil
}

// admission decides whether the federation that answers is the agent's own.
type admission struct {
	// uid asks the federation who it is.
	uid func(context.Context) (types.UID, error)
	// known and remember are the inventory's memory.
	known    func() (types.UID, error)
	remember func(types.UID) error
	// accept replaces what is remembered, if it is the one that answers.
	accept types.UID
	// onRefused and onAdmitted are called when the answer changes, serve is told each federation that is
	// admitted. They must not block.
	onRefused, onAdmitted func()
	serve                 func(types.UID)

	mu      sync.Mutex
	belongs types.UID // to this federation
	refused types.UID // the one that answers instead
}

// admit returns nil when the federation that answers is ours. The first one ever met becomes ours.
func (a *admission) admit(ctx context.Context) error {
	found, err := a.uid(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.belongs == "" {
		if a.belongs, err = a.known(); err != nil {
			return err
		}
	}
	if found != a.belongs && (a.belongs == "" || found == a.accept) {
		if err := a.remember(found); err != nil {
			return fmt.Errorf("remember the federation: %w", err)
		}
		a.belongs = found
	}
	if found == a.belongs {
		a.serve(found)
		if a.refused != "" {
			a.refused = ""
			a.onAdmitted()
		}
		return nil
	}
	if a.refused != found {
		a.refused = found
		a.onRefused()
	}
	return fmt.Errorf("%w: it belongs to %s, the one that answers is %s", ErrOtherFederation, a.belongs, found)
}

// wrong tells whether another federation answers.
func (a *admission) wrong() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused != ""
}

// condition is FederationAccepted: empty while there is nothing to say.
func (a *admission) condition(cluster string) metav1.Condition {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused == "" {
		return metav1.Condition{}
	}
	return metav1.Condition{
		Status: metav1.ConditionFalse,
		Reason: ReasonOtherFederation,
		Message: fmt.Sprintf("The agent of cluster %s belongs to federation %s and does nothing for this one. If this one is to take the cluster over, start the agent with --accept-federation-uid=%s",
			cluster, a.belongs, a.refused),
	}
}
