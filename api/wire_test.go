// Package api_test compares the Go types of the API with the wire contract in
// testdata/wire.json: every field of every kind, by path. The contract is what
// existing manifests and clients use, so a difference in either direction is a
// mistake in a type.
package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/scheme"
)

// wireKind is one kind of the contract.
type wireKind struct {
	Plural string               `json:"plural"`
	Scope  string               `json:"scope"`
	Fields map[string]wireField `json:"fields"` // by path; [] is an item of a list, {} a value of a map
}

// wireField is what the contract says about one path.
type wireField struct {
	Type      string   `json:"type,omitempty"`
	Format    string   `json:"format,omitempty"`
	Required  bool     `json:"required,omitempty"`
	Any       bool     `json:"any,omitempty"` // any JSON, or an object with any fields
	Default   any      `json:"default,omitempty"`
	Enum      []string `json:"enum,omitempty"`
	MinItems  *int     `json:"minItems,omitempty"`
	MinLength *int     `json:"minLength,omitempty"`
	MaxLength *int     `json:"maxLength,omitempty"`
	Minimum   *int64   `json:"minimum,omitempty"`
	Maximum   *int64   `json:"maximum,omitempty"`
	Pattern   string   `json:"pattern,omitempty"`
}

func loadWire(t testing.TB) map[schema.GroupVersionKind]wireKind {
	t.Helper()
	data, err := os.ReadFile("testdata/wire.json")
	if err != nil {
		t.Fatal(err)
	}
	var byName map[string]wireKind
	if err := json.Unmarshal(data, &byName); err != nil {
		t.Fatal(err)
	}
	kinds := map[schema.GroupVersionKind]wireKind{}
	for name, kind := range byName {
		parts := strings.Split(name, "/")
		kinds[schema.GroupVersionKind{Group: parts[0], Version: parts[1], Kind: parts[2]}] = kind
	}
	return kinds
}

// TestTypesMatchWire fails for each path that only one side has, and for each
// that differs in type, format or whether it is required.
func TestTypesMatchWire(t *testing.T) {
	for gvk, kind := range loadWire(t) {
		t.Run(gvk.GroupVersion().String()+"/"+gvk.Kind, func(t *testing.T) {
			obj, err := scheme.Scheme.New(gvk)
			if err != nil {
				t.Fatalf("the scheme does not know the kind: %v", err)
			}
			want := map[string]string{}
			opaque := map[string]bool{} // types of Kubernetes that the contract names but does not spell out
			for path, f := range kind.Fields {
				if strings.HasPrefix(f.Format, "io.k8s.") && f.Type == "object" {
					opaque[path] = true
				}
				want[path] = describe(f)
			}
			got := map[string]string{}
			for path, f := range flatten(t, reflect.TypeOf(obj).Elem()) {
				if !under(path, opaque) {
					got[path] = describe(f)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields differ (-contract +types):\n%s", diff)
			}
		})
	}
}

// TestEveryServedKindIsInTheContract fails when a kind is added to one of the
// contract's groups that the contract does not have.
func TestEveryServedKindIsInTheContract(t *testing.T) {
	wire := loadWire(t)
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		if !strings.HasSuffix(gvk.Group, ".karmada.io") || strings.HasSuffix(gvk.Kind, "List") {
			continue
		}
		if strings.HasSuffix(gvk.Kind, "Options") {
			continue // the parameters of a request, never an object
		}
		if !strings.Contains(typ.PkgPath(), "/flotilla/api/") {
			continue // ListOptions, WatchEvent and so on
		}
		if _, ok := wire[gvk]; !ok {
			t.Errorf("%s is not in the contract", gvk)
		}
		if _, ok := scheme.Scheme.AllKnownTypes()[gvk.GroupVersion().WithKind(gvk.Kind+"List")]; !ok {
			t.Errorf("%s has no list kind", gvk)
		}
	}
}

func describe(f wireField) string {
	format := f.Format
	switch {
	case f.Type == "int-or-string":
		format = "" // a quantity, written in several ways in the contract
	case f.Type == "object":
		format = ""
	case f.Type == "integer" && format == "int32":
		format = "" // int and int32 are the same on the wire
	}
	s := f.Type
	if f.Any {
		s += " any"
	}
	if format != "" {
		s += " " + format
	}
	if f.Required {
		s += " required"
	}
	return s
}

func under(path string, parents map[string]bool) bool {
	for parent := range parents {
		if strings.HasPrefix(path, parent+".") {
			return true
		}
	}
	return false
}

// flatten walks a kind's type. Metadata is left out; the contract does not have
// it either.
func flatten(t *testing.T, kind reflect.Type) map[string]wireField {
	t.Helper()
	fields := map[string]wireField{}
	walkStruct(t, kind, "", fields)
	return fields
}

func walkStruct(t *testing.T, typ reflect.Type, path string, fields map[string]wireField) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Type == reflect.TypeFor[metav1.TypeMeta]() || f.Type == reflect.TypeFor[metav1.ObjectMeta]() {
			continue
		}
		tag, ok := f.Tag.Lookup("json")
		if !ok {
			t.Errorf("%s.%s has no json tag", typ, f.Name)
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" {
			walkStruct(t, f.Type, path, fields)
			continue
		}
		if path != "" {
			name = path + "." + name
		}
		walkType(t, f.Type, name, !strings.Contains(options, "omitempty"), fields)
	}
}

func walkType(t *testing.T, typ reflect.Type, path string, required bool, fields map[string]wireField) {
	t.Helper()
	f := wireField{Required: required}
	switch typ {
	case reflect.TypeFor[resource.Quantity]():
		f.Type = "int-or-string"
		fields[path] = f
		return
	case reflect.TypeFor[metav1.Time]():
		f.Type, f.Format = "string", "date-time"
		fields[path] = f
		return
	case reflect.TypeFor[apiextensionsv1.JSON]():
		f.Any = true
		fields[path] = f
		return
	}
	if isRaw(typ) {
		f.Type, f.Any = "object", true
		fields[path] = f
		return
	}
	switch typ.Kind() {
	case reflect.Pointer:
		walkType(t, typ.Elem(), path, required, fields)
		return
	case reflect.Struct:
		f.Type = "object"
		walkStruct(t, typ, path, fields)
	case reflect.Slice:
		f.Type = "array"
		walkType(t, typ.Elem(), path+"[]", false, fields)
	case reflect.Map:
		f.Type = "object"
		walkType(t, typ.Elem(), path+"{}", false, fields)
	case reflect.String:
		f.Type = "string"
	case reflect.Bool:
		f.Type = "boolean"
	case reflect.Int, reflect.Int32:
		f.Type = "integer"
	case reflect.Int64:
		f.Type, f.Format = "integer", "int64"
	default:
		t.Errorf("%s: no wire type for %s", path, typ)
	}
	fields[path] = f
}

// isRaw is true for RawExtension and for structs that hold nothing else.
func isRaw(typ reflect.Type) bool {
	raw := reflect.TypeFor[runtime.RawExtension]()
	return typ == raw || typ.Kind() == reflect.Struct && typ.NumField() == 1 &&
		typ.Field(0).Anonymous && typ.Field(0).Type == raw
}

// String makes failures readable.
func (f wireField) String() string { return fmt.Sprintf("%q", describe(f)) }
