package native

import (
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// owners are the fields of the spec that somebody has written, by writer, as
// metadata.managedFields has them.
//
// API servers allocate after they have noted who writes what. So a value that is
// in the object and belongs to nobody was allocated, and one that belongs to
// somebody was asked for. Without managedFields nothing belongs to anybody.
// Two writes look like more than they are: a server-side apply of an explicit
// zero, and one that moves an allocated value to a list entry with another key.
type owners []map[string]any

func ownersOf(obj *unstructured.Unstructured) owners {
	var out owners
	for _, entry := range list(child(obj.Object, "metadata"), "managedFields") {
		if e, ok := entry.(map[string]any); ok && text(e, "subresource") == "" {
			if fields := child(child(e, "fieldsV1"), "f:spec"); fields != nil {
				out = append(out, fields)
			}
		}
	}
	return out
}

// have tells whether somebody has written the field at a path below the spec.
// The steps are those of the notation of managedFields, such as f:type.
func (o owners) have(path ...string) bool {
	for _, fields := range o {
		if has(fields, path) {
			return true
		}
	}
	return false
}

func has(fields map[string]any, path []string) bool {
	for _, step := range path[:len(path)-1] {
		fields = child(fields, step)
	}
	_, ok := fields[path[len(path)-1]]
	return ok
}

// portKey is how managedFields name an entry of a Service's spec.ports: its keys
// are sorted, and the server fills in both.
func portKey(port map[string]any) string {
	return `k:{"port":` + strconv.FormatInt(integer(port, "port"), 10) + `,"protocol":` + strconv.Quote(text(port, "protocol")) + `}`
}
