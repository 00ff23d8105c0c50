package native

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// equal tells whether two JSON trees mean the same to the Kubernetes API,
// where absent, null, zero, "", false, {} and [] are one thing, and 3 and 3.0
// are.
func equal(a, b any) bool {
	if blank(a) || blank(b) {
		return blank(a) && blank(b)
	}
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range x {
			if !equal(value, y[key]) {
				return false
			}
		}
		for key, value := range y {
			if _, seen := x[key]; !seen && !blank(value) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case string:
		y, ok := b.(string)
		return ok && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	}
	return sameNumber(a, b)
}

func sameNumber(a, b any) bool {
	x, ok := whole(a)
	y, also := whole(b)
	if ok && also {
		return x == y
	}
	f, ok := a.(float64)
	g, also := b.(float64)
	return ok && also && f == g
}

// blank tells whether a tree says nothing: a map of blanks is blank too, but a
// list of blanks is not, since its length says something.
func blank(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case bool:
		return !x
	case int64:
		return x == 0
	case float64:
		return x == 0
	case int32:
		return x == 0
	case int:
		return x == 0
	case []any:
		return len(x) == 0
	case map[string]any:
		for _, value := range x {
			if !blank(value) {
				return false
			}
		}
		return true
	}
	return false
}

// setStatus replaces the given fields of the template's status, keeping the
// ones it is not told about. If that changes nothing that matters, it leaves
// the template alone and returns false. The old status map is not written to,
// since a cache may share it.
func setStatus(template *unstructured.Unstructured, fields map[string]any) bool {
	old := status(template)
	same := true
	for field, value := range fields {
		if !equal(value, old[field]) {
			same = false
			break
		}
	}
	if same {
		return false
	}
	merged := make(map[string]any, len(old)+len(fields))
	maps.Copy(merged, old)
	maps.Copy(merged, fields)
	if template.Object == nil {
		template.Object = map[string]any{}
	}
	template.Object["status"] = merged
	return true
}
