package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

// managedSelector selects what carries our label.
const managedSelector = names.ManagedLabel + "=" + names.ManagedLabelValue

// scanPage bounds the memory of a scan, in objects.
const scanPage = 500

// Member is what the agent does to objects in the member.
type Member struct {
	objects  dynamic.Interface
	metadata metadata.Interface
}

// NewMember returns a Member over one HTTP client.
func NewMember(config *rest.Config, client *http.Client) (*Member, error) {
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("client of the member: %w", err)
	}
	meta, err := metadata.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("client of the member: %w", err)
	}
	return &Member{objects: objects, metadata: meta}, nil
}

func (m *Member) object(resource kinds.Resource, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return m.objects.Resource(resource.GroupVersionResource)
	}
	return m.objects.Resource(resource.GroupVersionResource).Namespace(namespace)
}

func (m *Member) meta(resource kinds.Resource, namespace string) metadata.ResourceInterface {
	if namespace == "" {
		return m.metadata.Resource(resource.GroupVersionResource)
	}
	return m.metadata.Resource(resource.GroupVersionResource).Namespace(namespace)
}

// getMeta reads an object's metadata.
func (m *Member) getMeta(ctx context.Context, resource kinds.Resource, key inventory.Key) (*metav1.PartialObjectMetadata, error) {
	return m.meta(resource, key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
}

// get reads a whole object.
func (m *Member) get(ctx context.Context, resource kinds.Resource, key inventory.Key) (*unstructured.Unstructured, error) {
	return m.object(resource, key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
}

// apply sends a manifest by server-side apply and returns the object as it is then.
func (m *Member) apply(ctx context.Context, resource kinds.Resource, key inventory.Key, manager string, manifest []byte, force bool) (*unstructured.Unstructured, error) {
	return m.object(resource, key.Namespace).Patch(ctx, key.Name, types.ApplyPatchType, manifest,
		metav1.PatchOptions{FieldManager: manager, Force: &force})
}

// patch sends a JSON patch.
func (m *Member) patch(ctx context.Context, resource kinds.Resource, key inventory.Key, operations []jsonPatch) error {
	raw, err := json.Marshal(operations)
	if err != nil {
		return err
	}
	_, err = m.meta(resource, key.Namespace).Patch(ctx, key.Name, types.JSONPatchType, raw, metav1.PatchOptions{FieldManager: FieldManager})
	return err
}

// jsonPatch is one operation of RFC 6902.
type jsonPatch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// remove deletes the very object that was looked at, in the background.
func (m *Member) remove(ctx context.Context, resource kinds.Resource, key inventory.Key, uid types.UID) error {
	background := metav1.DeletePropagationBackground
	return m.meta(resource, key.Namespace).Delete(ctx, key.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: &background,
	})
}

// watch lists and watches the objects of a kind that carry our label.
func (m *Member) watch(resource kinds.Resource) cache.ListerWatcher {
	client := m.object(resource, "")
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = managedSelector
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = managedSelector
			return client.Watch(ctx, options)
		},
	}
}

// Scan calls visit with the metadata of every object of a kind that carries our label.
func (m *Member) Scan(ctx context.Context, resource kinds.Resource, visit func(*metav1.PartialObjectMetadata)) error {
	options := metav1.ListOptions{LabelSelector: managedSelector, Limit: scanPage}
	for {
		list, err := m.meta(resource, "").List(ctx, options)
		if err != nil {
			return fmt.Errorf("list %s: %w", resource.GroupVersionResource, err)
		}
		for i := range list.Items {
			visit(&list.Items[i])
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}
