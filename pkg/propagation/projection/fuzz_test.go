package projection

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// FuzzTemplate: whatever a template looks like, its Work is there, either with a
// manifest that is marked as managed, or with the reason why not.
func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"b"},"spec":{"replicas":3}}`), int32(2))
	f.Add([]byte(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"b"},"spec":{"parallelism":3,"completions":9}}`), int32(1))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","labels":{"x":1}},"spec":{"ports":[{"nodePort":1}]}}`), int32(0))
	f.Add([]byte(`{"apiVersion":"x/y/z","kind":"","metadata":[]}`), int32(-5))
	f.Fuzz(func(t *testing.T, manifest []byte, replicas int32) {
		obj := &unstructured.Unstructured{}
		if obj.UnmarshalJSON(manifest) != nil {
			return
		}
		gvk := obj.GroupVersionKind()
		p := newProjection("eu")
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
	})
}
