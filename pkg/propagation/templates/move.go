package templates

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// look asks in which version a kind is served that cannot be listed in the one where it
// is watched. The news that its CustomResourceDefinition has changed are not enough for
// that: discovery may still give the old version when they come. What is known stays
// known meanwhile, for nothing was deleted. It returns at once; when nothing is found it
// ends after a while, and the next failure of the watch begins it anew.
func (s *Store) look(gk schema.GroupKind, k *kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.looking || s.kinds[gk] != k || s.ctx == nil || s.ctx.Err() != nil {
		return
	}
	k.looking = true
	ctx := s.ctx
	s.running.Go(func() {
		moved := s.move(ctx, gk, k)
		s.mu.Lock()
		k.looking = false
		s.mu.Unlock()
		if moved != nil {
			s.tellGone(ctx, gk, k, moved)
		}
	})
}

// move has a kind watched in another version, if it is served in one. It gives what
// watches it then.
func (s *Store) move(ctx context.Context, gk schema.GroupKind, k *kind) (moved *kind) {
	backoff := wait.Backoff{Duration: firstLook, Factor: 2, Steps: looks, Jitter: 0.1}
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		s.mapper.Reset()
		mapping, err := s.mapper.RESTMapping(gk)
		if err == nil && mapping.Resource != k.mapping.Resource {
			moved, err = s.swap(ctx, gk, k, mapping)
			return true, err
		}
		return false, nil // not served at all, or discovery is behind
	})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Templates cannot be listed, and are not served in another version", "resource", k.mapping.Resource, "err", err)
	}
	return moved
}

// swap replaces what watches a kind, unless somebody else has.
func (s *Store) swap(ctx context.Context, gk schema.GroupKind, k *kind, mapping *meta.RESTMapping) (*kind, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds[gk] != k {
		return nil, nil
	}
	klog.FromContext(ctx).Info("Templates are served in another version now", "from", k.mapping.Resource, "to", mapping.Resource)
	k.stop()
	if err := s.watch(gk, mapping); err != nil {
		return nil, err
	}
	return s.kinds[gk], nil
}

// tellGone tells of the templates that went while nothing watched their kind.
func (s *Store) tellGone(ctx context.Context, gk schema.GroupKind, before, now *kind) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	poll := func(context.Context) (bool, error) {
		return now.informer.HasSynced(), s.replaced(gk, now)
	}
	if err := wait.PollUntilContextCancel(ctx, firstLook, true, poll); err != nil {
		return
	}
	s.mu.RLock()
	onChange := s.onChange
	s.mu.RUnlock()
	for _, obj := range before.informer.GetStore().List() {
		m, ok := obj.(*Metadata)
		if !ok {
			continue
		}
		if _, there, err := now.informer.GetStore().GetByKey(cache.MetaObjectToName(m).String()); there || err != nil {
			continue
		}
		for _, f := range onChange {
			f(gk, m, nil)
		}
	}
}

// replaced is an error once a kind is watched by something else.
func (s *Store) replaced(gk schema.GroupKind, k *kind) error {
	if s.lookup(gk) != k {
		return context.Canceled
	}
	return nil
}
