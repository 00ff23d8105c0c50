package templates

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		s.move(ctx, gk, k)
		s.mu.Lock()
		k.looking = false
		s.mu.Unlock()
	})
}

// move has a kind watched in another version, if it is served in one.
func (s *Store) move(ctx context.Context, gk schema.GroupKind, k *kind) {
	backoff := wait.Backoff{Duration: firstLook, Factor: 2, Steps: looks, Jitter: 0.1}
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		s.mapper.Reset()
		mapping, err := s.mapper.RESTMapping(gk)
		if err != nil || mapping.Resource == k.mapping.Resource || !s.served(ctx, mapping) {
			return s.lookup(gk) != k, nil //nolint:nilerr // not served at all, or discovery is behind: it is asked again
		}
		return true, s.swap(ctx, gk, k, mapping)
	})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Templates cannot be listed, and are not served in another version", "resource", k.mapping.Resource, "err", err)
	}
}

// served asks for a resource itself, for discovery may be behind in either direction.
func (s *Store) served(ctx context.Context, mapping *meta.RESTMapping) bool {
	_, err := s.client.Resource(mapping.Resource).List(ctx, metav1.ListOptions{Limit: 1})
	return err == nil
}

// swap replaces what watches a kind, unless somebody else has.
func (s *Store) swap(ctx context.Context, gk schema.GroupKind, k *kind, mapping *meta.RESTMapping) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds[gk] != k {
		return nil
	}
	klog.FromContext(ctx).Info("Templates are served in another version now", "from", k.mapping.Resource, "to", mapping.Resource)
	k.stop()
	return s.watch(gk, mapping, k.known())
}

// doubt has it told whether a template is gone once its kind is watched elsewhere: who has
// asked for it could not be told.
func (s *Store) doubt(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[key.GroupKind]
	if k == nil || slices.ContainsFunc(k.before, func(m *Metadata) bool { return KeyOf(key.GroupKind, m) == key }) {
		return
	}
	k.before = append(k.before, &Metadata{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}})
}

// tellGone tells of the templates that went while nothing watched their kind. When the
// kind is watched by something else before this has listed it, that does.
func (s *Store) tellGone(ctx context.Context, gk schema.GroupKind, k *kind) {
	if !cache.WaitForCacheSync(ctx.Done(), k.informer.HasSynced) && !k.informer.HasSynced() {
		return
	}
	s.mu.Lock()
	onChange, before := s.onChange, k.before
	k.before = nil
	s.mu.Unlock()
	for _, m := range before {
		if k.holds(m) {
			continue
		}
		for _, f := range onChange {
			f(gk, m, nil)
		}
	}
}
