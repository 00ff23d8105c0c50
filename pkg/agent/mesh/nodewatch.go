package mesh

import (
	"context"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// nodeWatch is the store of a watch on nodes with some labels, of which it keeps what is
// asked for. It rings when there is another node, or something else of one.
type nodeWatch[T any] struct {
	ring func()
	// silent is true if it does not ring for nodes that go.
	silent bool
	// keep is what is kept of an object, by a name; false for nothing.
	keep func(obj any) (name string, kept T, ok bool)

	mu     sync.Mutex
	synced bool
	nodes  map[string]T
	end    context.CancelFunc
	ended  sync.WaitGroup
}

// all is what is kept, by name; false until the first list is there.
func (w *nodeWatch[T]) all() ([]T, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	nodes := make([]T, 0, len(w.nodes))
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		nodes = append(nodes, w.nodes[name])
	}
	return nodes, w.synced
}

// nodeSource lists and watches nodes.
type nodeSource struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// of is an object as they give it.
	of any
}

// start keeps the store up to date until close. Only the first call has an effect.
func (w *nodeWatch[T]) start(ctx context.Context, what, selector string, source nodeSource) {
	if w.end != nil {
		return
	}
	ctx, w.end = context.WithCancel(ctx)
	logger := klog.FromContext(ctx)
	lists := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			return source.list(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			events, err := source.watch(ctx, options)
			return events, unlessOver(ctx, err)
		},
	}
	reflector := cache.NewReflectorWithOptions(listThenWatch{lists}, source.of, w, cache.ReflectorOptions{
		Logger:  &logger,
		Name:    what,
		Backoff: &wait.Backoff{Duration: time.Second, Cap: 30 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
	})
	w.ended.Go(func() { reflector.RunWithContext(ctx) })
}

// unlessOver is why a watch could not begin, and io.EOF once nobody wants it any more: of
// that a reflector says nothing.
func unlessOver(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return io.EOF
	}
	return err
}

// close ends the watch and forgets what it has seen.
func (w *nodeWatch[T]) close() {
	if w.end == nil {
		return
	}
	w.end()
	w.ended.Wait()
	w.end, w.synced, w.nodes = nil, false, nil
}

// Add implements cache.ReflectorStore, as do the others.
func (w *nodeWatch[T]) Add(obj any) error { return w.Update(obj) }

func (w *nodeWatch[T]) Update(obj any) error {
	w.set(w.keep(obj))
	return nil
}

func (w *nodeWatch[T]) Delete(obj any) error {
	name, kept, _ := w.keep(obj)
	w.set(name, kept, false)
	return nil
}

func (w *nodeWatch[T]) Replace(items []any, _ string) error {
	nodes := map[string]T{}
	for _, item := range items {
		if name, kept, ok := w.keep(item); ok {
			nodes[name] = kept
		}
	}
	w.mu.Lock()
	same := w.synced && reflect.DeepEqual(w.nodes, nodes)
	w.nodes, w.synced = nodes, true
	w.mu.Unlock()
	if !same {
		w.ring()
	}
	return nil
}

func (w *nodeWatch[T]) Resync() error { return nil }

func (w *nodeWatch[T]) set(name string, kept T, ok bool) {
	w.mu.Lock()
	was, had := w.nodes[name]
	if w.nodes == nil {
		w.nodes = map[string]T{}
	}
	if delete(w.nodes, name); ok {
		w.nodes[name] = kept
	}
	w.mu.Unlock()
	if ok && (!had || !reflect.DeepEqual(was, kept)) || !ok && had && !w.silent {
		w.ring()
	}
}
