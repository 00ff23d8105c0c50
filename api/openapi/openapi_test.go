package openapi_test

import (
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/randfill"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/openapi"
	"github.com/flotilla-io/flotilla/api/scheme"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// coreTypes are the types of k8s.io/api that ours refer to. Their definitions
// come with k8s.io/kubernetes, which is not imported here; in this test they may
// have any fields.
var coreTypes = []string{"NodeSelector", "NodeSelectorRequirement", "Taint", "Toleration"}

func ref(name string) spec.Ref { return spec.MustCreateRef("#/components/schemas/" + name) }

func definitions() map[string]common.OpenAPIDefinition {
	all := apiextensionsopenapi.GetOpenAPIDefinitions(ref)
	for name, d := range openapi.GetOpenAPIDefinitions(ref) {
		all[name] = d
	}
	for _, name := range coreTypes {
		all["io.k8s.api.core.v1."+name] = common.OpenAPIDefinition{Schema: *spec.MapProperty(nil)}
	}
	return all
}

func TestReferencesResolve(t *testing.T) {
	all := definitions()
	for name, d := range openapi.GetOpenAPIDefinitions(ref) {
		for _, dependency := range d.Dependencies {
			if _, ok := all[dependency]; !ok {
				t.Errorf("%s refers to %s, which nobody defines; give the type's package a model package, or see hack/generate.sh", name, dependency)
			}
		}
		if d.Schema.Description == "" {
			t.Errorf("%s has no description; kubectl explain would be silent", name)
		}
		for field, property := range d.Schema.Properties {
			standard := field == "apiVersion" || field == "kind" || field == "metadata"
			if property.Description == "" && !standard {
				t.Errorf("%s.%s has no description; kubectl explain would be silent", name, field)
			}
		}
	}
}

// converter is what server-side apply uses to merge objects.
func converter(t *testing.T) managedfields.TypeConverter {
	t.Helper()
	schemas := map[string]*spec.Schema{}
	for name, d := range definitions() {
		s := d.Schema
		schemas[name] = &s
	}
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		if !strings.Contains(typ.PkgPath(), "/flotilla/api/") {
			continue
		}
		obj, err := scheme.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		model := obj.(interface{ OpenAPIModelName() string }).OpenAPIModelName()
		s, ok := schemas[model]
		if !ok {
			t.Fatalf("%s has no definition %s", gvk, model)
		}
		s.AddExtension("x-kubernetes-group-version-kind", []any{map[string]any{
			"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind,
		}})
	}
	c, err := managedfields.NewTypeConverter(schemas, false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryFieldIsDefined fills objects of every kind and reads them by the
// definitions: a field that is missing there would be lost in server-side apply.
func TestEveryFieldIsDefined(t *testing.T) {
	c := converter(t)
	funcs := fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			func(raw *runtime.RawExtension, _ randfill.Continue) { raw.Raw = []byte(`{"a":{"b":[1,"c"]}}`) },
			func(raw *apiextensionsv1.JSON, _ randfill.Continue) { raw.Raw = []byte(`[1,{"a":"b"}]`) },
			func(l *corev1.ResourceList, c randfill.Continue) { *l = corev1.ResourceList{"cpu": {}} },
		}
	})
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		if !strings.Contains(typ.PkgPath(), "/flotilla/api/") || strings.HasSuffix(gvk.Kind, "List") {
			continue
		}
		t.Run(gvk.Version+"/"+gvk.Kind, func(t *testing.T) {
			for seed := range int64(20) {
				obj, err := scheme.Scheme.New(gvk)
				if err != nil {
					t.Fatal(err)
				}
				fuzzer.FuzzerFor(funcs, rand.NewSource(seed), scheme.Codecs).NumElements(1, 1).NilChance(0).Fill(obj)
				obj.GetObjectKind().SetGroupVersionKind(gvk)
				typed, err := c.ObjectToTyped(obj)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				back, err := c.TypedToObject(typed)
				if err != nil {
					t.Fatal(err)
				}
				want, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
				if err != nil {
					t.Fatal(err)
				}
				got := back.(runtime.Unstructured).UnstructuredContent()
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("seed %d: fields got lost (-object +by definitions):\n%s", seed, diff)
				}
			}
		})
	}
}

// TestListsMerge: lists with keys are merged by them, others are replaced.
func TestListsMerge(t *testing.T) {
	c := converter(t)
	merge := func(gvk schema.GroupVersionKind, live, applied runtime.Object) map[string]any {
		t.Helper()
		live.GetObjectKind().SetGroupVersionKind(gvk)
		applied.GetObjectKind().SetGroupVersionKind(gvk)
		a, err := c.ObjectToTyped(live)
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.ObjectToTyped(applied)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := a.Merge(b)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := c.TypedToObject(merged)
		if err != nil {
			t.Fatal(err)
		}
		return obj.(runtime.Unstructured).UnstructuredContent()
	}
	keysOf := func(doc map[string]any, key string, path ...string) []string {
		var v any = doc
		for _, name := range path {
			v = v.(map[string]any)[name]
		}
		var keys []string
		for _, item := range v.([]any) {
			if key == "" {
				keys = append(keys, item.(string))
			} else {
				keys = append(keys, item.(map[string]any)[key].(string))
			}
		}
		slices.Sort(keys)
		return keys
	}

	cluster := merge(clusterv1alpha1.GroupVersion.WithKind("Cluster"),
		&clusterv1alpha1.Cluster{
			Spec:   clusterv1alpha1.ClusterSpec{Zones: []string{"a"}, Taints: []corev1.Taint{{Key: "a", Effect: "NoExecute"}}},
			Status: clusterv1alpha1.ClusterStatus{Conditions: []metav1.Condition{{Type: "Ready"}}},
		},
		&clusterv1alpha1.Cluster{
			Spec:   clusterv1alpha1.ClusterSpec{Zones: []string{"b"}, Taints: []corev1.Taint{{Key: "b", Effect: "NoExecute"}}},
			Status: clusterv1alpha1.ClusterStatus{Conditions: []metav1.Condition{{Type: "CompleteAPIEnablements"}}},
		})
	if diff := cmp.Diff([]string{"CompleteAPIEnablements", "Ready"}, keysOf(cluster, "type", "status", "conditions")); diff != "" {
		t.Errorf("Two owners may each have a condition (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, keysOf(cluster, "", "spec", "zones")); diff != "" {
		t.Errorf("Zones are replaced (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, keysOf(cluster, "key", "spec", "taints")); diff != "" {
		t.Errorf("Taints are replaced (-want +got):\n%s", diff)
	}

	binding := merge(workv1alpha2.GroupVersion.WithKind("ResourceBinding"),
		&workv1alpha2.ResourceBinding{
			Spec:   workv1alpha2.ResourceBindingSpec{Clusters: []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 1}}},
			Status: workv1alpha2.ResourceBindingStatus{AggregatedStatus: []workv1alpha2.AggregatedStatusItem{{ClusterName: "eu"}}},
		},
		&workv1alpha2.ResourceBinding{
			Spec:   workv1alpha2.ResourceBindingSpec{Clusters: []workv1alpha2.TargetCluster{{Name: "ap", Replicas: 1}}},
			Status: workv1alpha2.ResourceBindingStatus{AggregatedStatus: []workv1alpha2.AggregatedStatusItem{{ClusterName: "ap"}}},
		})
	if diff := cmp.Diff([]string{"ap", "eu"}, keysOf(binding, "name", "spec", "clusters")); diff != "" {
		t.Errorf("Clusters are told apart by name (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ap", "eu"}, keysOf(binding, "clusterName", "status", "aggregatedStatus")); diff != "" {
		t.Errorf("Statuses are told apart by cluster (-want +got):\n%s", diff)
	}
}
