package apiserver

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

const (
	// readPatience is how long a kind may take to be found and listed before the
	// Works of its bindings are served without manifests, which agents take as a
	// reason to leave alone what they have. A conversion webhook that nobody
	// answers is one way for it to take for ever.
	readPatience = 10 * time.Second
	// firstAsk and lastAsk bound the pause between two questions to discovery.
	firstAsk = time.Second
	lastAsk  = 30 * time.Second
)

// resettable is a mapper that can be told to ask discovery again.
type resettable interface {
	meta.RESTMapper
	Reset()
}

// kinds follows the templates of the kinds that bindings name. A kind is followed
// in one version, that of the binding that named it first, or, when that is not
// served (any more), the one discovery prefers.
type kinds struct {
	mapper    resettable
	listWatch func(resource schema.GroupVersionResource, selector string) *cache.ListWatch
	// view takes the templates.
	view interface {
		SetTemplate(*unstructured.Unstructured)
		DeleteTemplate(projection.TemplateKey)
		SetPlural(kind schema.GroupKind, resource string)
	}

	mu      sync.Mutex
	started map[schema.GroupKind]chan struct{} // closed when listed
}

// follow starts to read the templates of a binding's kind, once.
func (k *kinds) follow(ctx context.Context, b workv1alpha2.Binding) {
	ref := b.GetSpec().Resource
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return // refused by validation
	}
	gvk := gv.WithKind(ref.Kind)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.started[gvk.GroupKind()] != nil {
		return
	}
	ready := make(chan struct{})
	k.started[gvk.GroupKind()] = ready
	go k.run(ctx, gvk, ready)
}

// ready are the channels of all kinds that are followed so far.
func (k *kinds) ready() []<-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]<-chan struct{}, 0, len(k.started))
	for _, c := range k.started {
		out = append(out, c)
	}
	return out
}

func (k *kinds) run(ctx context.Context, gvk schema.GroupVersionKind, ready chan struct{}) {
	done := sync.OnceFunc(func() { close(ready) })
	// A kind that cannot be read must not keep the others from being served.
	patience := time.AfterFunc(readPatience, done)
	defer patience.Stop()
	templates := newSink(k.view.SetTemplate, func(n types.NamespacedName) {
		k.view.DeleteTemplate(projection.TemplateKey{GroupKind: gvk.GroupKind(), Namespace: n.Namespace, Name: n.Name})
	})
	for ctx.Err() == nil {
		resource, err := k.resource(ctx, gvk)
		if err != nil {
			return // ctx ended
		}
		k.view.SetPlural(gvk.GroupKind(), resource.Resource)
		k.read(ctx, gvk, resource, templates, done)
		// The resource is gone: another version may be there, but discovery may
		// take a moment to say so.
		select {
		case <-ctx.Done():
		case <-time.After(firstAsk):
		}
		k.mapper.Reset()
	}
}

// read follows one resource until it is no longer served.
func (k *kinds) read(ctx context.Context, gvk schema.GroupVersionKind, resource schema.GroupVersionResource, into *sink[*unstructured.Unstructured], listed func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if waitFor(ctx, into.ready) {
			listed()
		}
	}()
	lw := k.listWatch(resource, names.LabelBound+"=true")
	list := lw.ListWithContextFunc
	lw.ListWithContextFunc = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		out, err := list(ctx, o)
		if apierrors.IsNotFound(err) {
			klog.FromContext(ctx).Info("Templates are no longer served in this version, looking for another", "resource", resource)
			cancel()
		}
		return out, err
	}
	run(ctx, "templates of "+gvk.GroupKind().String(), lw, &unstructured.Unstructured{}, into)
}

// resource asks discovery until it knows the kind.
func (k *kinds) resource(ctx context.Context, gvk schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	pause := firstAsk
	for {
		mapping, err := k.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if meta.IsNoMatchError(err) {
			mapping, err = k.mapper.RESTMapping(gvk.GroupKind())
		}
		if err == nil {
			return mapping.Resource, nil
		}
		klog.FromContext(ctx).V(2).Info("Kind of a binding is not served, asking again", "kind", gvk, "err", err)
		select {
		case <-ctx.Done():
			return schema.GroupVersionResource{}, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, lastAsk)
		k.mapper.Reset()
	}
}
