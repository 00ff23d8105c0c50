package meshlab

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// passing are resources whose objects come and go by themselves.
var passing = []string{"events", "leases", "endpointslices", "endpoints", "pods", "replicasets", "controllerrevisions"}

// Objects are all objects of a member by resource, namespace and name; with their
// labels where somebody writes labels on objects that are not his.
func (s *Session) Objects(where string) (map[string]string, error) {
	m := s.Mesh.Members[where]
	discover, err := discovery.NewDiscoveryClientForConfig(m.Config)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(m.Config)
	if err != nil {
		return nil, err
	}
	lists, err := discover.ServerPreferredResources()
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(passing, r.Name) {
				continue
			}
			objects, err := client.Resource(gv.WithResource(r.Name)).List(s.Context(), metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.Name, err)
			}
			for i := range objects.Items {
				o := &objects.Items[i]
				found[r.Name+"/"+o.Namespace+"/"+o.Name] = labels(r.Name, o)
			}
		}
	}
	return found, nil
}

func labels(resource string, o metav1.Object) string {
	if resource != "namespaces" && resource != "nodes" {
		return ""
	}
	of := o.GetLabels()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&b, "%s=%s ", key, of[key])
	}
	return b.String()
}

// Differences say what became of objects.
func Differences(before, after map[string]string) (differ []string) {
	for key, value := range after {
		switch was, ok := before[key]; {
		case !ok:
			differ = append(differ, "+ "+key+" "+value)
		case was != value:
			differ = append(differ, "~ "+key+" "+was+" -> "+value)
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			differ = append(differ, "- "+key)
		}
	}
	slices.Sort(differ)
	return differ
}

// Accessor is metadata of an object that a watch gave.
func accessor(object any) (metav1.Object, bool) {
	o, err := meta.Accessor(object)
	return o, err == nil
}
