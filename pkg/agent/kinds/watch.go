package kinds

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// WatchDefinitions asks for a refresh whenever a CustomResourceDefinition changes, until the context
// ends. It reads metadata only and keeps nothing.
func (k *Kinds) WatchDefinitions(ctx context.Context, client metadata.Interface) {
	logger := klog.FromContext(ctx)
	resource := client.Resource(definitions)
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, options)
		},
	}
	cache.NewReflectorWithOptions(source, &metav1.PartialObjectMetadata{}, refresher{k}, cache.ReflectorOptions{
		Logger:  &logger,
		Name:    "definitions",
		Backoff: &wait.Backoff{Duration: time.Second, Cap: 30 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
	}).RunWithContext(ctx)
}

// refresher is a store that only hears that something happened.
type refresher struct{ kinds *Kinds }

func (r refresher) Add(any) error    { r.kinds.Refresh(); return nil }
func (r refresher) Update(any) error { r.kinds.Refresh(); return nil }
func (r refresher) Delete(any) error { r.kinds.Refresh(); return nil }
func (r refresher) Resync() error    { return nil }

func (r refresher) Replace([]any, string) error {
	// The first list says nothing that the first refresh did not; later ones follow a gap.
	r.kinds.Refresh()
	return nil
}

// Transformer drops everything, so that a streamed first list is not gathered.
func (r refresher) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if full, ok := obj.(*metav1.PartialObjectMetadata); ok {
			return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: full.Name}}, nil
		}
		return obj, nil
	}
}
