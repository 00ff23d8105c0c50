package fedctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/apply"
)

// brought is an object that the federation has brought.
type brought struct {
	resource        schema.GroupVersionResource
	kind            string
	namespace, name string
	uid             types.UID
}

// String is as kubectl has it.
func (b brought) String() string {
	text := strings.ToLower(b.kind) + "/" + b.name
	if b.namespace != "" {
		text += " in " + b.namespace
	}
	return text
}

// workloads are all objects in a member that the federation has brought.
type workloads struct {
	host      string
	metadata  metadata.Interface
	resources []listable
	owner     apply.Owner
	found     []brought
}

// listable is a kind that can be listed and deleted.
type listable struct {
	schema.GroupVersionResource
	kind       string
	namespaced bool
}

func (m *memberSide) survey(ctx context.Context) error {
	d, err := discovery.NewDiscoveryClientForConfig(m.cluster.config)
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	resources, err := listables(d)
	if err != nil {
		return err
	}
	c, err := metadata.NewForConfig(m.cluster.config)
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	m.workloads = &workloads{
		host: m.cluster.config.Host, metadata: c, resources: resources,
		owner: apply.Owner{Namespace: names.ExecutionNamespace(m.leave.cluster), Federation: types.UID(m.federation)},
	}
	return m.workloads.find(ctx)
}

func listables(d discovery.DiscoveryInterface) ([]listable, error) {
	lists, err := d.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("what the member serves is not known, so nothing would be sure to be found: %w. See kubectl get apiservices", err)
	}
	var out []listable
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("member: %w", err)
		}
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") {
				out = append(out, listable{gv.WithResource(r.Name), r.Kind, r.Namespaced})
			}
		}
	}
	return out, nil
}

func (w *workloads) find(ctx context.Context) error {
	w.found = nil
	seen := map[types.UID]bool{}
	for _, resource := range w.resources {
		err := w.each(ctx, resource, "", names.ManagedLabel+"="+names.ManagedLabelValue, func(o *metav1.PartialObjectMetadata) {
			if !seen[o.UID] && w.owner.Brought(o) { // several groups may serve the same object
				seen[o.UID] = true
				w.found = append(w.found, brought{resource.GroupVersionResource, resource.kind, o.Namespace, o.Name, o.UID})
			}
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(w.found, func(a, b brought) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	return nil
}

// each lists metadata in pages. Kinds that are not served after all have no objects.
func (w *workloads) each(ctx context.Context, resource listable, namespace, selector string, visit func(*metav1.PartialObjectMetadata)) error {
	options := metav1.ListOptions{LabelSelector: selector, Limit: 500}
	for {
		list, err := w.metadata.Resource(resource.GroupVersionResource).Namespace(namespace).List(ctx, options)
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list %s of the member: %w", resource.Resource, err)
		}
		for i := range list.Items {
			visit(&list.Items[i])
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

const (
	definitionKind = "CustomResourceDefinition"
	namespaceKind  = "Namespace"
)

// rank is the order of deletion: what holds other objects goes last.
func rank(b brought) int {
	switch {
	case b.kind == definitionKind && b.resource.Group == "apiextensions.k8s.io":
		return 1
	case b.kind == namespaceKind && b.resource.Group == "":
		return 2
	}
	return 0
}

func (w *workloads) count() int { return len(w.found) }

// summary is a line for each kind.
func (w *workloads) summary() string {
	counts := map[string]int{}
	var order []string
	for _, b := range w.found {
		if counts[b.kind] == 0 {
			order = append(order, b.kind)
		}
		counts[b.kind]++
	}
	var out strings.Builder
	for _, kind := range order {
		_, _ = fmt.Fprintf(&out, "%7d %s\n", counts[kind], kind)
	}
	return out.String()
}

// deleteWorkloads deletes what was found, and waits until it is gone.
func (m *memberSide) deleteWorkloads(ctx context.Context) error {
	ctx, cancel := within(ctx, m.timeout)
	defer cancel()
	w := m.workloads
	// What the agent still did after the first look counts, too.
	if err := w.find(ctx); err != nil {
		return err
	}
	deleted := 0
	for last := 0; last <= 2; last++ {
		var gone []brought
		for _, b := range w.found {
			if rank(b) != last {
				continue
			}
			if last > 0 {
				kept, err := w.holds(ctx, b)
				if err != nil {
					return err
				}
				if kept != "" {
					m.say("%s stays: it holds %s, which the federation did not bring", b, kept)
					continue
				}
			}
			if err := w.delete(ctx, b); err != nil {
				return err
			}
			gone = append(gone, b)
		}
		if err := w.wait(ctx, gone); err != nil {
			return err
		}
		deleted += len(gone)
	}
	m.say("Deleted %s in the member", plural(deleted, "object"))
	return nil
}

func (w *workloads) delete(ctx context.Context, b brought) error {
	background := metav1.DeletePropagationBackground
	err := w.metadata.Resource(b.resource).Namespace(b.namespace).Delete(ctx, b.name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &b.uid}, PropagationPolicy: &background,
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // a conflict: it is another one by now
		return fmt.Errorf("%s of the member: %w", b, err)
	}
	return nil
}

func (w *workloads) wait(ctx context.Context, gone []brought) error {
	return poll(ctx, "deletion of workloads", func(ctx context.Context) (bool, string, error) {
		for len(gone) > 0 {
			b := gone[0]
			o, err := w.metadata.Resource(b.resource).Namespace(b.namespace).Get(ctx, b.name, metav1.GetOptions{})
			switch {
			case err != nil && !apierrors.IsNotFound(err):
				return false, fmt.Sprintf("%s: %v", b, err), nil
			case err == nil && o.UID == b.uid:
				return false, fmt.Sprintf("%s is still there; finalizers: %s", b, orNone(o.Finalizers)), nil
			}
			gone = gone[1:]
		}
		return true, "", nil
	})
}

// holds tells what would go with a Namespace or a CustomResourceDefinition that the federation did not
// bring; empty if nothing would.
func (w *workloads) holds(ctx context.Context, b brought) (kept string, err error) {
	for _, resource := range w.resources {
		namespace := b.name
		if rank(b) == 1 {
			namespace = ""
			if resource.Resource+"."+resource.Group != b.name {
				continue
			}
		} else if !resource.namespaced {
			continue
		}
		err := w.each(ctx, resource, namespace, "", func(o *metav1.PartialObjectMetadata) {
			if kept == "" && !passing(resource, o) {
				kept = brought{kind: resource.kind, name: o.Name}.String()
			}
		})
		if err != nil || kept != "" {
			return kept, err
		}
	}
	return "", nil
}

// passing tells whether an object would not be missed: every namespace has it, it goes by itself, or it only
// tells what happened.
func passing(resource listable, o *metav1.PartialObjectMetadata) bool {
	switch {
	case resource.kind == "Event", resource.kind == "Lease", resource.kind == "PodMetrics":
		return true
	case resource.kind == "ConfigMap" && o.Name == "kube-root-ca.crt", resource.kind == "ServiceAccount" && o.Name == "default":
		return true
	}
	return o.DeletionTimestamp != nil || len(o.OwnerReferences) > 0 || resource.kind == "Endpoints" || resource.kind == "EndpointSlice"
}
