package templates

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"github.com/flotilla-io/flotilla/pkg/notfound"
)

// pageSize of live lists, in objects.
const pageSize = 500

// Get gives the metadata of a template, from memory. While the watch of its kind
// is not up to date yet, or when the template is not there, it asks the API
// server: a template whose label names.LabelBound somebody took off still exists.
// The error satisfies apierrors.IsNotFound when it does not, and
// meta.IsNoMatchError when its kind is not served.
func (s *Store) Get(ctx context.Context, key Key) (*Metadata, error) {
	if _, err := s.Ensure(key.GroupKind); err != nil {
		return nil, err
	}
	if k := s.lookup(key.GroupKind); k != nil && k.informer.HasSynced() {
		obj, exists, err := k.informer.GetStore().GetByKey(storeKey(key))
		if err == nil && exists {
			return obj.(*Metadata), nil
		}
	}
	return s.GetLive(ctx, key)
}

// GetLive asks the API server for the metadata of an object, claimed or not.
func (s *Store) GetLive(ctx context.Context, key Key) (*Metadata, error) {
	mapping, err := s.mapping(key.GroupKind)
	if err != nil {
		return nil, err
	}
	get := func() (*Metadata, error) {
		return s.resource(mapping, key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	}
	m, err := get()
	if notfound.Path(err) {
		s.mapper.Reset()
		if mapping, err = s.mapper.RESTMapping(key.GroupKind); err != nil {
			s.doubt(key)
			return nil, fmt.Errorf("getting template %s: %w", key, err)
		}
		m, err = get()
	}
	switch {
	case notfound.Path(err):
		s.doubt(key)
		return nil, fmt.Errorf("getting template %s: %w", key, &meta.NoKindMatchError{GroupKind: key.GroupKind, SearchedVersions: []string{mapping.Resource.Version}})
	case err != nil:
		return nil, fmt.Errorf("getting template %s: %w", key, err)
	}
	return m, nil
}

// ClaimedBy lists the templates of all watched kinds whose claim the named policy
// holds.
func (s *Store) ClaimedBy(claim string) []Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Key
	for gk, k := range s.kinds {
		objs, err := k.informer.GetIndexer().ByIndex(claimIndex, claim)
		if err != nil {
			continue // every informer here has the index
		}
		for _, obj := range objs {
			out = append(out, KeyOf(gk, obj.(*Metadata)))
		}
	}
	return out
}

// Selection says which objects of a kind to list.
type Selection struct {
	Kind          schema.GroupKind
	Namespace     string // empty: all
	Name          string // empty: all
	LabelSelector string
}

// List asks the API server for the metadata of all objects of a selection,
// claimed or not, in pages, and gives each to f. It ends at f's first error.
// Objects that are gone, or a namespace on a cluster-scoped kind, are no error.
func (s *Store) List(ctx context.Context, sel Selection, f func(*Metadata) error) error {
	mapping, err := s.mapping(sel.Kind)
	if err != nil {
		return err
	}
	if sel.Namespace != "" && mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return nil
	}
	opts := metav1.ListOptions{LabelSelector: sel.LabelSelector, Limit: pageSize}
	if sel.Name != "" {
		opts.FieldSelector = "metadata.name=" + sel.Name
	}
	for {
		page, err := s.resource(mapping, sel.Namespace).List(ctx, opts)
		if err != nil {
			return fmt.Errorf("listing %s in namespace %q: %w", mapping.Resource.GroupResource(), sel.Namespace, err)
		}
		for i := range page.Items {
			if err := f(&page.Items[i]); err != nil {
				return err
			}
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			return nil
		}
	}
}

// Patch sends a JSON merge patch of an object's metadata.
func (s *Store) Patch(ctx context.Context, key Key, patch []byte) (*Metadata, error) {
	mapping, err := s.mapping(key.GroupKind)
	if err != nil {
		return nil, err
	}
	m, err := s.resource(mapping, key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("patching template %s: %w", key, err)
	}
	return m, nil
}

// mapping tells where a kind is served, without having it watched.
func (s *Store) mapping(gk schema.GroupKind) (*meta.RESTMapping, error) {
	if k := s.lookup(gk); k != nil {
		return k.mapping, nil
	}
	return s.mapper.RESTMapping(gk)
}

func (s *Store) resource(mapping *meta.RESTMapping, namespace string) metadata.ResourceInterface {
	r := s.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return r
	}
	return r.Namespace(namespace)
}

func storeKey(k Key) string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}
