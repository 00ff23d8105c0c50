package native

import (
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/flotilla-io/flotilla/api/names"
)

// The readers below look into an object without copying it, which the
// accessors of package unstructured do. What has another type than asked for
// reads as absent.

func child(m map[string]any, key string) map[string]any {
	c, _ := m[key].(map[string]any)
	return c
}

func list(m map[string]any, key string) []any {
	l, _ := m[key].([]any)
	return l
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func integer(m map[string]any, key string) int64 {
	n, _ := whole(m[key])
	return n
}

// whole reads a number that JSON may have given any of these types.
func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int32:
		return int64(n), true
	case int:
		return int64(n), true
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return 0, false
		}
		return int64(n), true
	}
	return 0, false
}

// count reads a number of replicas: absent or null is the API's default, 1; anything
// but a whole number from 0 to the largest int32 is malformed.
func count(m map[string]any, key string) (int32, error) {
	v, ok := m[key]
	if !ok || v == nil {
		return 1, nil
	}
	n, ok := whole(v)
	if !ok || n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("spec.%s is %v, want a whole number from 0 to %d: %w", key, v, math.MaxInt32, ErrMalformed)
	}
	return int32(n), nil
}

func spec(obj *unstructured.Unstructured) map[string]any   { return child(obj.Object, "spec") }
func status(obj *unstructured.Unstructured) map[string]any { return child(obj.Object, "status") }

func generation(obj *unstructured.Unstructured) int64 {
	return integer(child(obj.Object, "metadata"), "generation")
}

func annotation(obj *unstructured.Unstructured, key string) string {
	return text(child(child(obj.Object, "metadata"), "annotations"), key)
}

// templateGeneration is the generation of the template from which an object
// in a member was last written, 0 if it does not say.
func templateGeneration(obj *unstructured.Unstructured) int64 {
	n, err := strconv.ParseInt(annotation(obj, names.TemplateGenerationAnnotation), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// drop deletes keys from the map at path, and the map itself if it is left
// empty.
func drop(m map[string]any, path string, keys ...string) {
	c := child(m, path)
	if c == nil {
		return
	}
	for _, key := range keys {
		delete(c, key)
	}
	if len(c) == 0 {
		delete(m, path)
	}
}

// dropMetadata deletes keys from metadata.labels or metadata.annotations.
func dropMetadata(obj *unstructured.Unstructured, path string, keys ...string) {
	if meta := child(obj.Object, "metadata"); meta != nil {
		drop(meta, path, keys...)
	}
}
