package heartbeat

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// reducingStore reduces objects as they pass and hands on what is left. With streamed lists the
// reflector reduces them before it gathers them, so a whole list of pods is never in memory.
type reducingStore struct {
	reduce func(any) (any, error)
	put    func(any)
	drop   func(key string)
	reset  func()
	done   func() // after a full list
}

var _ cache.TransformingStore = &reducingStore{}

// Transformer implements cache.TransformingStore.
func (s *reducingStore) Transformer() cache.TransformFunc { return s.reduce }

// Add implements cache.ReflectorStore, as do the methods below.
func (s *reducingStore) Add(obj any) error {
	reduced, err := s.reduce(obj)
	if err == nil {
		s.put(reduced)
	}
	return err
}

func (s *reducingStore) Update(obj any) error { return s.Add(obj) }

func (s *reducingStore) Delete(obj any) error {
	key, err := cache.MetaNamespaceKeyFunc(obj)
	if err != nil {
		return fmt.Errorf("deleted object: %w", err)
	}
	s.drop(key)
	return nil
}

func (s *reducingStore) Replace(items []any, _ string) error {
	s.reset()
	for _, item := range items {
		if err := s.Add(item); err != nil {
			return err
		}
	}
	s.done()
	return nil
}

func (s *reducingStore) Resync() error { return nil }

// Watch feeds Capacity from the member until the context ends. client is for the core group.
// Pods that have ended use nothing and are not watched.
func (c *Capacity) Watch(ctx context.Context, client rest.Interface) {
	logger := klog.FromContext(ctx)
	running := fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
	)
	var group sync.WaitGroup
	for _, source := range []struct {
		resource string
		selector fields.Selector
		expected runtime.Object
		store    cache.ReflectorStore
	}{
		{"nodes", fields.Everything(), &corev1.Node{}, c.Nodes()},
		{"pods", running, &corev1.Pod{}, c.Pods()},
	} {
		reflector := cache.NewReflectorWithOptions(
			cache.NewListWatchFromClient(client, source.resource, metav1.NamespaceAll, source.selector),
			source.expected, source.store,
			cache.ReflectorOptions{
				Logger:  &logger,
				Name:    "capacity",
				Backoff: &wait.Backoff{Duration: time.Second, Cap: 30 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
			})
		group.Go(func() { reflector.RunWithContext(ctx) })
	}
	group.Wait()
}
