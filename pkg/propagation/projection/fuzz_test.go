package projection

import (
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// FuzzTemplate: whatever a template looks like, its Work is there, either with a
// manifest that is marked as managed, or with the reason why not.
func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"b"},"spec":{"replicas":3}}`), int32(2))
	f.Add([]byte(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"b"},"spec":{"parallelism":3,"completions":9}}`), int32(1))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","labels":{"x":1}},"spec":{"ports":[{"nodePort":1}]}}`), int32(0))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b"},"spec":{"type":"LoadBalancer","loadBalancerIP":"x","ports":[{"nodePort":1},2]}}`), int32(0))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","labels":[1],"annotations":{"x":1}},"spec":[]}`), int32(0))
	f.Add([]byte(`{"apiVersion":"x/y/z","kind":"","metadata":[]}`), int32(-5))
	f.Fuzz(func(t *testing.T, manifest []byte, replicas int32) {
		obj := &unstructured.Unstructured{}
		if obj.UnmarshalJSON(manifest) != nil {
			return
		}
		gvk := obj.GroupVersionKind()
		p := newProjection("eu", "ap")
		p.SetLinks(calls("ap>eu"))
		p.SetPlural(gvk.GroupKind(), "things")
		p.SetTemplate(obj)
		b := divided("a", on("eu", replicas))
		b.Namespace = obj.GetNamespace()
		b.Spec.Resource = workv1alpha2.ObjectReference{
			APIVersion: schema.GroupVersion{Group: gvk.Group, Version: gvk.Version}.String(), Kind: gvk.Kind,
			Namespace: obj.GetNamespace(), Name: obj.GetName(),
		}
		p.SetBinding(b)
		work := list(t, p, "eu").Items[0]
		if len(work.Spec.Workload.Manifests) == 0 {
			if len(work.Status.Conditions) == 0 {
				t.Fatal("no manifest, and no reason")
			}
			return
		}
		out := &unstructured.Unstructured{}
		if err := out.UnmarshalJSON(work.Spec.Workload.Manifests[0].Raw); err != nil {
			t.Fatalf("manifest is no object: %v", err)
		}
		if out.GetLabels()[names.ManagedLabel] != names.ManagedLabelValue {
			t.Fatal("manifest is not marked as managed")
		}
		if out.GetNamespace() != obj.GetNamespace() || out.GetName() != obj.GetName() || out.GetKind() != obj.GetKind() {
			t.Fatal("manifest is of another object")
		}
		checkStub(t, p, obj)
	})
}

// checkStub: cluster ap calls eu, which has a share. It has a stub if obj is a
// Service, nothing else, and none without the link.
func checkStub(t *testing.T, p *Projection, obj *unstructured.Unstructured) {
	works := list(t, p, "ap").Items
	if wanted := obj.GroupVersionKind().GroupKind() == serviceKind && !refusesStubs(obj); wanted != (len(works) == 1) {
		t.Fatalf("stub wanted: %v, there: %v", wanted, works)
	}
	share := list(t, p, "eu").Items[0].Spec
	for _, w := range works {
		if len(w.Spec.Workload.Manifests) == 0 {
			continue // and the reason, as with shares
		}
		out := &unstructured.Unstructured{}
		if err := out.UnmarshalJSON(w.Spec.Workload.Manifests[0].Raw); err != nil {
			t.Fatalf("stub is no object: %v", err)
		}
		if out.GetLabels()[meshv1alpha1.StubLabel] != "true" || out.GetName() != obj.GetName() || out.GetNamespace() != obj.GetNamespace() {
			t.Fatal("it is not marked as a stub, or another object")
		}
		spec, ok := out.Object["spec"].(map[string]any)
		if !ok {
			continue // refused by every member
		}
		if spec["type"] != "ClusterIP" {
			t.Fatal("it can be reached from outside")
		}
		for _, field := range beyondCluster {
			if _, there := spec[field]; there {
				t.Fatalf("it has %s", field)
			}
		}
	}
	p.SetLinks(nil)
	if len(list(t, p, "ap").Items) > 0 {
		t.Fatal("nobody asks for it any more")
	}
	if !apiequality.Semantic.DeepEqual(share, list(t, p, "eu").Items[0].Spec) {
		t.Fatal("links have changed a share")
	}
}
