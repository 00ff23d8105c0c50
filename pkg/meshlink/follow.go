package meshlink

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// follower has a cache of the Works of all Meshes, which it fills once somebody asks
// for them: federations without a Mesh have many Works and none of these. Whether
// that is so is looked at once, when it starts.
type follower struct {
	// cache is not started yet.
	cache cache.Cache
	// watch has the controller told of changes.
	watch func(cache.Cache) error
	// any says whether there is any such Work when this starts: of a Mesh that went while
	// nobody looked.
	any func(context.Context) (bool, error)

	once   sync.Once
	wanted chan struct{}
}

func newFollower(c cache.Cache, there func(context.Context) (bool, error)) *follower {
	return &follower{cache: c, any: there, wanted: make(chan struct{})}
}

// Start fills the cache from when it is wanted, until ctx ends. It satisfies the
// controller manager's Runnable.
func (f *follower) Start(ctx context.Context) error {
	if there, err := f.any(ctx); there || err != nil {
		f.want() // when it is not known, they are better followed
	}
	select {
	case <-f.wanted:
	case <-ctx.Done():
		return nil
	}
	if err := f.watch(f.cache); err != nil {
		return fmt.Errorf("works of meshes: %w", err)
	}
	return f.cache.Start(ctx)
}

func (f *follower) want() { f.once.Do(func() { close(f.wanted) }) }

// Followed says whether somebody has asked for Works.
func (f *follower) Followed() bool {
	select {
	case <-f.wanted:
		return true
	default:
		return false
	}
}

// Works are those of a Mesh; errNotYet while the cache is filled.
func (f *follower) Works(ctx context.Context, mesh string) ([]*workv1alpha1.Work, error) {
	f.want()
	informer, err := f.cache.GetInformer(ctx, &workv1alpha1.Work{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	if !informer.HasSynced() {
		return nil, errNotYet
	}
	list := &workv1alpha1.WorkList{}
	if err := f.cache.List(ctx, list, client.MatchingLabels{meshv1alpha1.MeshLabel: mesh}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return pointers(list.Items), nil
}

// pointers gives the items of a list one by one.
func pointers[T any](items []T) []*T {
	out := make([]*T, 0, len(items))
	for i := range items {
		out = append(out, &items[i])
	}
	return out
}
