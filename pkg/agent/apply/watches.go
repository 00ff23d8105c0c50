package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// watcher watches one kind in one version.
type watcher struct {
	stop   context.CancelFunc
	synced bool // guarded by the Engine's lock
}

// watched tells whether an object's kind is watched and was listed.
func (e *Engine) watched(o *object) bool {
	if o.desired == nil {
		return false
	}
	w := e.watches[o.desired.GroupVersionKind()]
	return w != nil && w.synced
}

// runWatches keeps a watch for every kind that is wanted and served.
func (e *Engine) runWatches(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		for kind := range e.watchesToStart() {
			resource, ok := e.opts.Kinds.Lookup(kind)
			if !ok {
				continue // kindsChanged comes back
			}
			watchCtx, stop := context.WithCancel(ctx)
			reflector := newReflector(watchCtx, e.noticing(kind, e.opts.Member.watch(resource)), &watchStore{engine: e, kind: kind}, kind)
			e.mu.Lock()
			e.watches[kind] = &watcher{stop: stop}
			e.mu.Unlock()
			group.Go(func() { reflector.RunWithContext(watchCtx) })
		}
		select {
		case <-ctx.Done():
			e.mu.Lock()
			for _, w := range e.watches {
				w.stop()
			}
			e.mu.Unlock()
			return
		case <-e.wakeWatches:
		}
	}
}

// watchesToStart stops the watches that nobody needs and returns the kinds that lack one.
func (e *Engine) watchesToStart() map[schema.GroupVersionKind]bool {
	snapshot := e.opts.Kinds.Snapshot()
	e.mu.Lock()
	defer e.mu.Unlock()
	for kind, w := range e.watches {
		served := snapshot == nil
		if !served {
			_, served = snapshot.Lookup(kind)
		}
		if e.wanted[kind] == 0 || !served {
			w.stop()
			delete(e.watches, kind)
			delete(e.blind, kind)
		}
	}
	missing := map[schema.GroupVersionKind]bool{}
	for kind := range e.wanted {
		if e.watches[kind] == nil {
			missing[kind] = true
		}
	}
	return missing
}

func newReflector(ctx context.Context, source cache.ListerWatcher, store cache.ReflectorStore, kind schema.GroupVersionKind) *cache.Reflector {
	logger := klog.FromContext(ctx)
	return cache.NewReflectorWithOptions(source, &unstructured.Unstructured{}, store, cache.ReflectorOptions{
		Logger:          &logger,
		Name:            "member",
		TypeDescription: kind.String(),
		Backoff:         &wait.Backoff{Duration: 500 * time.Millisecond, Cap: 15 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
	})
}

// errUnexpected marks an object of a type that the watch should not deliver.
var errUnexpected = errors.New("unexpected type")

// watchStore hands what a reflector sees to the engine and keeps nothing.
type watchStore struct {
	engine *Engine
	kind   schema.GroupVersionKind
}

var _ cache.ReflectorStore = &watchStore{}

func (s *watchStore) Add(obj any) error {
	live, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("%s: %w: %T", s.kind, errUnexpected, obj)
	}
	s.engine.observe(s.kind, live)
	return nil
}

func (s *watchStore) Update(obj any) error { return s.Add(obj) }

func (s *watchStore) Delete(obj any) error {
	live, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("%s: %w: %T", s.kind, errUnexpected, obj)
	}
	s.engine.gone(s.kind, live.GetNamespace(), live.GetName(), live.GetUID())
	return nil
}

func (s *watchStore) Replace(items []any, version string) error {
	list := make([]*unstructured.Unstructured, 0, len(items))
	for _, item := range items {
		live, ok := item.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("%s: %w: %T", s.kind, errUnexpected, item)
		}
		list = append(list, live)
	}
	s.engine.replaced(s.kind, list, version)
	return nil
}

func (s *watchStore) Resync() error { return nil }
