package snapshot

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// ListFunc returns all clusters, as a rule from an informer's cache. The store
// keeps the objects and does not change them.
type ListFunc func(ctx context.Context) ([]*clusterv1alpha1.Cluster, error)

// Store hands out the current Snapshot and takes a new one when, and only when,
// Invalidate was called since the last.
type Store struct {
	list ListFunc
	// changes counts calls of Invalidate. A picture belongs to the count that
	// was read before it was taken, so a change during the taking is not lost.
	changes atomic.Int64
	current atomic.Pointer[taken]
	taking  sync.Mutex
}

type taken struct {
	snapshot *Snapshot
	changes  int64
}

// NewStore makes a store over the list. Nothing is listed yet.
func NewStore(list ListFunc) *Store { return &Store{list: list} }

// Invalidate says that something changed. A Current that begins afterwards sees
// the change, provided the list did when Invalidate was called.
func (s *Store) Invalidate() { s.changes.Add(1) }

// Current returns the snapshot that holds every change announced so far.
func (s *Store) Current(ctx context.Context) (*Snapshot, error) {
	if t := s.current.Load(); t != nil && t.changes == s.changes.Load() {
		return t.snapshot, nil
	}
	s.taking.Lock()
	defer s.taking.Unlock()
	changes := s.changes.Load()
	if t := s.current.Load(); t != nil && t.changes == changes {
		return t.snapshot, nil
	}
	clusters, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing clusters for scheduling: %w", err)
	}
	t := &taken{snapshot: New(clusters...), changes: changes}
	s.current.Store(t)
	return t.snapshot, nil
}
