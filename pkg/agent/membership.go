package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// membership tells a cluster's stay in the federation from an earlier one. A cluster that left kept
// its workloads, and when it joins again its works have yet to be scheduled: what its first list does
// not name was not taken away by anybody.
//
// A stay is a Cluster object, by UID. For each list, look comes first, then the list is taken in, and
// then settle. An agent that dies in between finds the same stay new again, which does no harm.
type membership struct {
	cluster func(context.Context) (*clusterv1alpha1.Cluster, error)
	// known and remember are the inventory's memory.
	known    func() (types.UID, error)
	remember func(types.UID) error

	mu      sync.Mutex
	settled types.UID // the stay whose first list was taken in
	current types.UID // the stay that the next list belongs to
	began   time.Time // when the current stay did
}

// errOtherStay means that the cluster has left, or joined again, since the last list.
var errOtherStay = errors.New("the cluster is not in the stay of its last list")

// look finds out which stay the next list belongs to.
func (m *membership) look(ctx context.Context) error {
	cluster, err := m.cluster(ctx)
	if err != nil {
		return fmt.Errorf("the Cluster of this agent: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled == "" {
		if m.settled, err = m.known(); err != nil {
			return err
		}
	}
	m.current, m.began = cluster.UID, cluster.CreationTimestamp.Time
	return nil
}

// unchanged fails unless the settled stay lasts: what was read before says something about it then.
func (m *membership) unchanged(ctx context.Context) error {
	cluster, err := m.cluster(ctx)
	if err != nil {
		return fmt.Errorf("the Cluster of this agent: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled == "" || cluster.UID != m.settled || m.current != m.settled || cluster.DeletionTimestamp != nil {
		return errOtherStay
	}
	return nil
}

// renewed tells whether the next list is the first one of a stay that follows another.
func (m *membership) renewed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled != "" && m.settled != m.current
}

// precedes tells whether an object that was made then is from an earlier stay. It is for objects that
// the inventory does not know; clocks of the member and the federation may differ by as little as
// passes between the stays.
func (m *membership) precedes(made time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.began.IsZero() && made.Before(m.began)
}

// settle remembers the current stay: its first list was taken in, and what was doubtful is held.
func (m *membership) settle() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled == m.current {
		return nil
	}
	if err := m.remember(m.current); err != nil {
		return fmt.Errorf("remember the Cluster: %w", err)
	}
	m.settled = m.current
	return nil
}
