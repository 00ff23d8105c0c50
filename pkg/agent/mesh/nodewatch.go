package mesh

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// bareNode is a node without a region.
type bareNode struct {
	name    string
	uid     types.UID
	created time.Time
}

// bareNodes is the store of a watch on nodes without a region. It rings when there is
// another.
type bareNodes struct {
	ring func()

	mu     sync.Mutex
	synced bool
	nodes  map[string]bareNode
	end    context.CancelFunc
	ended  sync.WaitGroup
}

// all are the nodes; false until the first list is there.
func (b *bareNodes) all() ([]bareNode, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	nodes := make([]bareNode, 0, len(b.nodes))
	for _, n := range b.nodes {
		nodes = append(nodes, n)
	}
	return nodes, b.synced
}

// watch keeps the store up to date until close.
func (b *bareNodes) watch(ctx context.Context, w *worker) {
	if b.end != nil {
		return
	}
	ctx, b.end = context.WithCancel(ctx)
	logger := klog.FromContext(ctx)
	resource := w.agent.Metadata.Resource(nodeResource)
	selected := func(options metav1.ListOptions) metav1.ListOptions {
		options.LabelSelector = withoutRegion
		return options
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, selected(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, selected(options))
		},
	}
	reflector := cache.NewReflectorWithOptions(listThenWatch{source}, &metav1.PartialObjectMetadata{}, b, cache.ReflectorOptions{
		Logger:  &logger,
		Name:    "nodes without a region",
		Backoff: &wait.Backoff{Duration: time.Second, Cap: 30 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
	})
	b.ended.Go(func() { reflector.RunWithContext(ctx) })
}

// close ends the watch and forgets what it has seen.
func (b *bareNodes) close() {
	if b.end == nil {
		return
	}
	b.end()
	b.ended.Wait()
	b.end, b.synced, b.nodes = nil, false, nil
}

func bare(obj any) (bareNode, error) {
	node, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return bareNode{}, fmt.Errorf("want the metadata of a node, got %T", obj)
	}
	return bareNode{name: node.Name, uid: node.UID, created: node.CreationTimestamp.Time}, nil
}

// Add implements cache.ReflectorStore, as do the others.
func (b *bareNodes) Add(obj any) error {
	err := b.Update(obj)
	b.ring()
	return err
}

func (b *bareNodes) Update(obj any) error {
	node, err := bare(obj)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nodes == nil {
		b.nodes = map[string]bareNode{}
	}
	b.nodes[node.name] = node
	return nil
}

func (b *bareNodes) Delete(obj any) error {
	node, err := bare(obj)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.nodes, node.name)
	return nil
}

func (b *bareNodes) Replace(items []any, _ string) error {
	nodes := map[string]bareNode{}
	for _, item := range items {
		node, err := bare(item)
		if err != nil {
			return err
		}
		nodes[node.name] = node
	}
	b.mu.Lock()
	b.nodes, b.synced = nodes, true
	b.mu.Unlock()
	b.ring()
	return nil
}

func (b *bareNodes) Resync() error { return nil }

// withoutRegion selects nodes that have none.
const withoutRegion = "!" + corev1.LabelTopologyRegion
