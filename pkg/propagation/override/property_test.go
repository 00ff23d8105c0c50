package override

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

var operators = rapid.SampledFrom([]policyv1alpha1.OverriderOperator{add, remove, replace})

// anyOverriders draws changes of which some fit the manifest and some do not.
var anyOverriders = rapid.Custom(func(t *rapid.T) overriders {
	var o overriders
	op := operators.Draw(t, "op")
	value := rapid.SampledFrom([]string{"1", `"x"`, `{"a":"b"}`, "[]", "null"}).Draw(t, "value")
	path := rapid.SampledFrom([]string{"/spec/replicas", "/spec/template", "/metadata/labels/app", "/metadata/labels/new", "/spec/none/deep", "/metadata/name"}).Draw(t, "path")
	switch rapid.IntRange(0, 3).Draw(t, "sort") {
	case 0:
		o.Plaintext = []policyv1alpha1.PlaintextOverrider{{Path: path, Operator: op, Value: jsonValue(value)}}
	case 1:
		o.LabelsOverrider = []policyv1alpha1.LabelAnnotationOverrider{{Operator: op, Value: map[string]string{"app": value, "b": "c"}}}
	case 2:
		component := rapid.SampledFrom([]policyv1alpha1.ImageComponent{policyv1alpha1.Registry, policyv1alpha1.Repository, policyv1alpha1.Tag}).Draw(t, "component")
		o.ImageOverrider = []policyv1alpha1.ImageOverrider{{Component: component, Operator: op, Value: "v"}}
	case 3:
		o.ArgsOverrider = []policyv1alpha1.CommandArgsOverrider{{ContainerName: "web", Operator: op, Value: []string{"-g", "-x"}}}
	}
	return o
})

// TestApplyProperties: the result does not depend on the order in which the
// policies are given; inputs other than the manifest are not changed; a failure
// leaves the manifest alone; the identity never changes; nothing in the result
// is shared with a policy.
func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) policyv1alpha1.RuleWithCluster {
			if rapid.Bool().Draw(t, "targeted") {
				return in(rapid.SampledFrom([]string{"eu", "ap"}).Draw(t, "cluster"), anyOverriders.Draw(t, "overriders"))
			}
			return everywhere(anyOverriders.Draw(t, "overriders"))
		}), 0, 2)
		var cops []*policyv1alpha1.ClusterOverridePolicy
		var ops []*policyv1alpha1.OverridePolicy
		for i := range rapid.IntRange(0, 3).Draw(rt, "cops") {
			cops = append(cops, clusterPolicy(fmt.Sprint("c", i), rules.Draw(rt, "rules")...))
		}
		for i := range rapid.IntRange(0, 3).Draw(rt, "ops") {
			ops = append(ops, policy("shop", fmt.Sprint("p", i), rules.Draw(rt, "rules")...))
		}
		before := marshal(t, cops) + marshal(t, ops)

		original := object(t, deployment)
		first := original.DeepCopy()
		applied, err := Apply(first, cluster("eu"), cops, ops)

		second := original.DeepCopy()
		slices.Reverse(cops)
		slices.Reverse(ops)
		appliedAgain, errAgain := Apply(second, cluster("eu"), cops, ops)
		slices.Reverse(cops)
		slices.Reverse(ops)

		if fmt.Sprint(err) != fmt.Sprint(errAgain) {
			rt.Fatalf("errors differ by order: %v, %v", err, errAgain)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			rt.Fatalf("results differ by order:\n%s", diff)
		}
		if diff := cmp.Diff(applied, appliedAgain); diff != "" {
			rt.Fatalf("records differ by order:\n%s", diff)
		}
		if after := marshal(t, cops) + marshal(t, ops); after != before {
			rt.Fatalf("policies were changed: %s", cmp.Diff(before, after))
		}
		if err != nil {
			if diff := cmp.Diff(original, first); diff != "" {
				rt.Fatalf("a failure changed the manifest:\n%s", diff)
			}
			return
		}
		if !sameIdentity(original, first) {
			rt.Fatalf("the identity changed to %s %s", first.GroupVersionKind(), key(first.GetNamespace(), first.GetName()))
		}
		scribble(first.Object)
		if after := marshal(t, cops) + marshal(t, ops); after != before {
			rt.Fatal("the manifest shares memory with a policy")
		}
	})
}

// scribble writes over everything in a document.
func scribble(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			scribble(v[k])
			v[k] = "scribbled"
		}
	case []any:
		for i := range v {
			scribble(v[i])
			v[i] = "scribbled"
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestImageRoundTrip: taking a name apart and putting it together changes
// nothing.
func TestImageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`([a-z]{1,5}(\.[a-z]{1,3})?(:[0-9]{1,4})?/)?([a-z]{1,4}/)?[a-z]{1,6}(:[a-z0-9.]{1,5})?(@sha256:[0-9a-f]{8})?`).Draw(t, "name")
		if got := parseImage(name).String(); got != name {
			t.Fatalf("%q became %q", name, got)
		}
	})
}

// FuzzApply gives any overriders to any manifest: it may fail, but not panic,
// and not change what identifies the object.
func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b","args":["c",1]},null]}}}}`),
		[]byte(`{"imageOverrider":[{"component":"Tag","operator":"add","value":"x"}],"argsOverrider":[{"containerName":"a","operator":"remove","value":["c"]}],"plaintext":[{"path":"/spec/a","operator":"add","value":1},{"path":"/spec/template/spec/containers/-","operator":"add","value":null}]}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":null},"data":{"j":"[null,{}]","y":"- a\n- b: null\n"}}`),
		[]byte(`{"fieldOverrider":[{"fieldPath":"/data/j","json":[{"subPath":"/0/a","operator":"add","value":1}]},{"fieldPath":"/data/y","yaml":[{"subPath":"/1/b/c","operator":"remove"}]}],"labelsOverrider":[{"operator":"add","value":{"a":"b"}}]}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"A"}`), []byte(`{"plaintext":[{"path":"","operator":"replace","value":[]},{"path":"/-1","operator":"remove"}]}`))
	f.Fuzz(func(t *testing.T, manifest, change []byte) {
		obj := &unstructured.Unstructured{}
		if obj.UnmarshalJSON(manifest) != nil || obj.IsList() {
			t.Skip()
		}
		var o overriders
		if json.Unmarshal(change, &o) != nil {
			t.Skip()
		}
		before := obj.DeepCopy()
		_, err := Apply(obj, cluster("eu"), []*policyv1alpha1.ClusterOverridePolicy{clusterPolicy("p", everywhere(o))}, nil)
		if err != nil {
			if diff := cmp.Diff(before, obj); diff != "" {
				t.Fatalf("a failure changed the manifest:\n%s", diff)
			}
			return
		}
		if !sameIdentity(before, obj) {
			t.Fatal("the identity changed")
		}
	})
}

// TestPatchNeverPanics tries operations of all sorts at paths that fit, nearly
// fit and do not fit documents of all sorts.
func TestPatchNeverPanics(t *testing.T) {
	documents := rapid.SampledFrom([]string{
		`{}`, `[]`, `null`, `1`, `"a"`, `{"a":null}`, `{"a":{"b":null}}`, `[null]`, `{"a":[]}`, `{"a":[null,{"b":1}]}`, `[[],{}]`,
	})
	tokens := rapid.SampledFrom([]string{"", "a", "b", "0", "1", "-", "-1", "-9", "99999999999999999999", "~0", "~", "~1", "é"})
	rapid.Check(t, func(t *rapid.T) {
		path := ""
		for _, token := range rapid.SliceOfN(tokens, 0, 4).Draw(t, "tokens") {
			path += "/" + token
		}
		value := rapid.SampledFrom([]string{"", "null", "1", "{}", "[]"}).Draw(t, "value")
		doc := documents.Draw(t, "doc")
		op := newOperation(operators.Draw(t, "op"), path, []byte(value))
		out, _, err := patch([]byte(doc), []operation{op})
		if err == nil && !json.Valid(out) {
			t.Fatalf("%s %s on %s gives %q", op.Op, path, doc, out)
		}
	})
}
