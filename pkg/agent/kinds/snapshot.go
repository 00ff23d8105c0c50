package kinds

import (
	"cmp"
	"slices"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Resource is how a kind is addressed.
type Resource struct {
	schema.GroupVersionResource
	// Kind served there.
	Kind string
	// Namespaced kinds live in namespaces.
	Namespaced bool
	// Listable kinds can be listed and deleted.
	Listable bool
	// Preferred is set on the first version a group offers for the kind.
	Preferred bool
}

// Snapshot is what the member served at one moment.
type Snapshot struct {
	// Complete is false when a group could not be discovered.
	Complete bool
	// Stale names the group versions that could not be.
	Stale []string

	byKind map[schema.GroupVersionKind]Resource
	number uint64
}

// Lookup finds how a kind is addressed.
func (s *Snapshot) Lookup(kind schema.GroupVersionKind) (Resource, bool) {
	resource, ok := s.byKind[kind]
	return resource, ok
}

// Lacks tells whether a kind is certainly not served in its version: that version is not one of those
// that could not be discovered.
func (s *Snapshot) Lacks(kind schema.GroupVersionKind) bool {
	_, served := s.byKind[kind]
	return !served && !slices.Contains(s.Stale, kind.GroupVersion().String())
}

// AnyVersion finds how a kind is addressed in some version, the preferred one if there is one.
func (s *Snapshot) AnyVersion(kind schema.GroupKind) (found Resource, ok bool) {
	for served, resource := range s.byKind {
		if served.GroupKind() != kind {
			continue
		}
		if !ok || resource.Preferred && !found.Preferred || resource.Preferred == found.Preferred && resource.Version < found.Version {
			found, ok = resource, true
		}
	}
	return found, ok
}

// Listable returns one resource per kind that can be listed, in its preferred version, sorted.
func (s *Snapshot) Listable() []Resource {
	var out []Resource
	for _, resource := range s.byKind {
		if resource.Listable && resource.Preferred {
			out = append(out, resource)
		}
	}
	slices.SortFunc(out, compareResources)
	return out
}

// Enablements is the snapshot in the form of Cluster.status, sorted so that equal snapshots give
// equal lists.
func (s *Snapshot) Enablements() []clusterv1alpha1.APIEnablement {
	all := make([]Resource, 0, len(s.byKind))
	for _, resource := range s.byKind {
		all = append(all, resource)
	}
	slices.SortFunc(all, compareResources)
	var out []clusterv1alpha1.APIEnablement
	for _, resource := range all {
		version := resource.GroupVersion().String()
		if len(out) == 0 || out[len(out)-1].GroupVersion != version {
			out = append(out, clusterv1alpha1.APIEnablement{GroupVersion: version})
		}
		last := &out[len(out)-1]
		last.Resources = append(last.Resources, clusterv1alpha1.APIResource{Name: resource.Resource, Kind: resource.Kind})
	}
	return out
}

func compareResources(a, b Resource) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Resource, b.Resource))
}

// newSnapshot reads discovery documents. previous supplies what stale group versions served before.
func newSnapshot(documents []apidiscovery.APIGroupDiscoveryList, previous *Snapshot) *Snapshot {
	out := &Snapshot{Complete: true, byKind: map[schema.GroupVersionKind]Resource{}}
	for _, document := range documents {
		for _, group := range document.Items {
			out.addGroup(group, previous)
		}
	}
	slices.Sort(out.Stale)
	return out
}

func (s *Snapshot) addGroup(group apidiscovery.APIGroupDiscovery, previous *Snapshot) {
	seen := map[string]bool{}
	for _, version := range group.Versions {
		gv := schema.GroupVersion{Group: group.Name, Version: version.Version}
		if version.Freshness == apidiscovery.DiscoveryFreshnessStale {
			s.Complete = false
			s.Stale = append(s.Stale, gv.String())
			s.keep(gv, previous)
			continue
		}
		for _, resource := range version.Resources {
			if resource.ResponseKind == nil || resource.ResponseKind.Kind == "" {
				continue // serves no objects of its own
			}
			kind := resource.ResponseKind.Kind
			s.byKind[gv.WithKind(kind)] = Resource{
				GroupVersionResource: gv.WithResource(resource.Resource),
				Kind:                 kind,
				Namespaced:           resource.Scope == apidiscovery.ScopeNamespace,
				Listable:             slices.Contains(resource.Verbs, "list") && slices.Contains(resource.Verbs, "delete"),
				Preferred:            !seen[kind],
			}
			seen[kind] = true
		}
	}
}

func (s *Snapshot) keep(gv schema.GroupVersion, previous *Snapshot) {
	if previous == nil {
		return
	}
	for kind, resource := range previous.byKind {
		if kind.GroupVersion() == gv {
			s.byKind[kind] = resource
		}
	}
}
