package apiserver

import (
	"context"
	"sync"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/flotilla-io/flotilla/pkg/apiserver/filterwatch"
)

// sink follows a list and watch without keeping the objects: it remembers their
// names, to tell deletions after a new list, and passes everything on.
type sink[T metav1.Object] struct {
	set    func(T)
	delete func(types.NamespacedName)

	mu    sync.Mutex
	known map[types.NamespacedName]struct{}
	once  sync.Once
	ready chan struct{}
}

func newSink[T metav1.Object](set func(T), del func(types.NamespacedName)) *sink[T] {
	return &sink[T]{set: set, delete: del, known: map[types.NamespacedName]struct{}{}, ready: make(chan struct{})}
}

func nameOf(obj metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// Add implements cache.ReflectorStore.
func (s *sink[T]) Add(obj any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := obj.(T); ok {
		s.known[nameOf(o)] = struct{}{}
		s.set(o)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (s *sink[T]) Update(obj any) error { return s.Add(obj) }

// Delete implements cache.ReflectorStore.
func (s *sink[T]) Delete(obj any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := obj.(T); ok {
		delete(s.known, nameOf(o))
		s.delete(nameOf(o))
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *sink[T]) Replace(list []any, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := make(map[types.NamespacedName]struct{}, len(list))
	for _, obj := range list {
		if o, ok := obj.(T); ok {
			current[nameOf(o)] = struct{}{}
			s.set(o)
		}
	}
	for name := range s.known {
		if _, still := current[name]; !still {
			s.delete(name)
		}
	}
	s.known = current
	s.once.Do(func() { close(s.ready) })
	return nil
}

// Resync implements cache.ReflectorStore.
func (s *sink[T]) Resync() error { return nil }

// store is what is followed in process: a registry.
type store interface {
	rest.Lister
	rest.Watcher
}

// follow keeps a sink fed from a registry of this server until ctx ends. The
// objects are those of the registry's watch cache: they must not be modified.
func follow[T metav1.Object](ctx context.Context, name string, from store, example T, into *sink[T]) {
	ctx = genericapirequest.WithNamespace(ctx, metav1.NamespaceAll)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return from.List(genericapirequest.WithNamespace(ctx, metav1.NamespaceAll), internalOptions(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := from.Watch(genericapirequest.WithNamespace(ctx, metav1.NamespaceAll), internalOptions(o))
			if err != nil {
				return nil, err
			}
			return filterwatch.New(w, unwrap), nil
		},
	}
	run(ctx, name, lw, example, into)
}

// unwrap takes the object out of the envelope in which the watch cache shares
// its encodings among clients.
func unwrap(e watch.Event) (watch.Event, bool) {
	if envelope, ok := e.Object.(runtime.CacheableObject); ok {
		e.Object = envelope.GetObject()
	}
	return e, true
}

// run keeps a sink fed from a ListWatch until ctx ends.
func run[T metav1.Object](ctx context.Context, name string, lw *cache.ListWatch, example T, into *sink[T]) {
	reflector := cache.NewReflectorWithOptions(lw, example, into, cache.ReflectorOptions{Name: name})
	reflector.RunWithContext(ctx)
}

func internalOptions(o metav1.ListOptions) *metainternalversion.ListOptions {
	return &metainternalversion.ListOptions{
		ResourceVersion:      o.ResourceVersion,
		ResourceVersionMatch: o.ResourceVersionMatch,
		AllowWatchBookmarks:  o.AllowWatchBookmarks,
		SendInitialEvents:    o.SendInitialEvents,
		Limit:                o.Limit,
		Continue:             o.Continue,
		TimeoutSeconds:       o.TimeoutSeconds,
	}
}

// waitFor returns when all channels are closed, or false when ctx ends first.
func waitFor(ctx context.Context, channels ...<-chan struct{}) bool {
	for _, c := range channels {
		select {
		case <-c:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
