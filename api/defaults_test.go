package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/scheme"
)

// TestDefaultsMatchWire builds, for each field of the contract that has a
// default, the smallest object in which only that field is missing, and expects
// the default there. No other field may have got a value that the contract does
// not know about.
func TestDefaultsMatchWire(t *testing.T) {
	tested := 0
	for gvk, kind := range loadWire(t) {
		for path, f := range kind.Fields {
			if f.Default == nil {
				continue
			}
			tested++
			t.Run(gvk.Version+"/"+gvk.Kind+"/"+path, func(t *testing.T) {
				doc := map[string]any{}
				parent := path[:strings.LastIndex(path, ".")]
				put(doc, parent, map[string]any{})
				obj := decode(t, gvk, doc)
				scheme.Scheme.Default(obj)
				got := get(encode(t, obj), path)
				if got == nil && f.Default == 0.0 {
					return // a zero that is not written out
				}
				if diff := cmp.Diff(f.Default, got); diff != "" {
					t.Errorf("default differs (-contract +defaulting):\n%s", diff)
				}
			})
		}
	}
	if tested < 20 {
		t.Errorf("only %d defaults found in the contract; the table was misread", tested)
	}
}

// TestDefaultingKeepsWhatWasGiven sets every defaulted field to something else.
func TestDefaultingKeepsWhatWasGiven(t *testing.T) {
	for gvk, kind := range loadWire(t) {
		for path, f := range kind.Fields {
			if f.Default == nil {
				continue
			}
			t.Run(gvk.Version+"/"+gvk.Kind+"/"+path, func(t *testing.T) {
				var other any = "Other"
				if f.Type == "integer" {
					other = 7.0
				}
				doc := map[string]any{}
				put(doc, path, other)
				obj := decode(t, gvk, doc)
				scheme.Scheme.Default(obj)
				if diff := cmp.Diff(other, get(encode(t, obj), path)); diff != "" {
					t.Errorf("defaulting changed a given value:\n%s", diff)
				}
			})
		}
	}
}

// TestListsAreDefaultedToo guards against objects that differ by whether they
// were read alone or in a list.
func TestListsAreDefaultedToo(t *testing.T) {
	for gvk, kind := range loadWire(t) {
		hasDefault := false
		for path, f := range kind.Fields {
			// Only defaults that an empty spec shows.
			hasDefault = hasDefault || f.Default != nil && strings.Count(path, ".") == 1
		}
		if !hasDefault {
			continue
		}
		alone := decode(t, gvk, map[string]any{"spec": map[string]any{}})
		scheme.Scheme.Default(alone)
		listGVK := gvk
		listGVK.Kind += "List"
		list := decode(t, listGVK, map[string]any{"items": []any{map[string]any{"spec": map[string]any{}}}})
		scheme.Scheme.Default(list)
		item := encode(t, list)["items"].([]any)[0].(map[string]any)
		if diff := cmp.Diff(encode(t, alone)["spec"], item["spec"]); diff != "" {
			t.Errorf("%s differs (-alone +in a list):\n%s", gvk, diff)
		}
	}
}

func decode(t testing.TB, gvk schema.GroupVersionKind, doc map[string]any) runtime.Object {
	t.Helper()
	obj, err := scheme.Scheme.New(gvk)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, obj); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return obj
}

func encode(t testing.TB, obj runtime.Object) map[string]any {
	t.Helper()
	data, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// put sets the value at a path of the contract, making one item in each list and
// the key "k" in each map on the way.
func put(doc map[string]any, path string, value any) {
	name, rest, more := strings.Cut(path, ".")
	key := strings.TrimRight(name, "[]{}")
	wrap := func(v any) any {
		for suffix := name[len(key):]; suffix != ""; suffix = suffix[:len(suffix)-2] {
			if strings.HasSuffix(suffix, "[]") {
				v = []any{v}
			} else {
				v = map[string]any{"k": v}
			}
		}
		return v
	}
	if !more {
		doc[key] = wrap(value)
		return
	}
	inner, ok := unwrap(doc[key], name[len(key):]).(map[string]any)
	if !ok {
		inner = map[string]any{}
		doc[key] = wrap(inner)
	}
	put(inner, rest, value)
}

// get is the reverse of put; nil when there is nothing.
func get(doc map[string]any, path string) any {
	var v any = doc
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		key := strings.TrimRight(name, "[]{}")
		v = unwrap(m[key], name[len(key):])
	}
	return v
}

func unwrap(v any, suffix string) any {
	for ; suffix != ""; suffix = suffix[2:] {
		switch c := v.(type) {
		case []any:
			if len(c) == 0 {
				return nil
			}
			v = c[0]
		case map[string]any:
			v = c["k"]
		default:
			return nil
		}
	}
	return v
}

func TestPutAndGetAgree(t *testing.T) {
	for _, path := range []string{"a", "a.b", "a[].b", "a[].b{}", "a{}", "a[]", "a.b[].c[].d"} {
		doc := map[string]any{}
		put(doc, path, "x")
		if got := get(doc, path); got != "x" {
			t.Errorf("%s: got %v from %s", path, got, fmt.Sprint(doc))
		}
	}
}
