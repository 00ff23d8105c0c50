package apply

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, FieldsV1: metav1.NewFieldsV1(fields)}
}

func TestReclaim(t *testing.T) {
	const (
		apply  = metav1.ManagedFieldsOperationApply
		update = metav1.ManagedFieldsOperationUpdate
	)
	ours := entry(FieldManager, apply, `{"f:spec":{"f:type":{},"f:ports":{"k:80":{}}}}`)
	ports := [][]string{{"spec", "ports"}}
	for name, tc := range map[string]struct {
		reason   string
		entries  []metav1.ManagedFieldsEntry
		everyone bool
		want     map[string]string
	}{
		"person": {
			reason:  "an edit of a person goes to us, and the entry that is empty then goes",
			entries: []metav1.ManagedFieldsEntry{ours, entry("kubectl-patch", update, `{"f:spec":{"f:ports":{"k:81":{"f:port":{}}}}}`)},
			want:    map[string]string{FieldManager: `{"f:spec":{"f:type":{},"f:ports":{"k:80":{},"k:81":{"f:port":{}}}}}`},
		},
		"person, elsewhere": {
			reason:  "what they did outside of the list stays theirs",
			entries: []metav1.ManagedFieldsEntry{ours, entry("kubectl-edit", update, `{"f:metadata":{"f:x":{}},"f:spec":{"f:ports":{"k:81":{}}}}`)},
			want: map[string]string{
				FieldManager: `{"f:spec":{"f:type":{},"f:ports":{"k:80":{},"k:81":{}}}}`, "kubectl-edit": `{"f:metadata":{"f:x":{}}}`,
			},
		},
		"controller": {
			reason:  "what controllers add stays",
			entries: []metav1.ManagedFieldsEntry{ours, entry("operator", update, `{"f:spec":{"f:ports":{"k:81":{}}}}`)},
		},
		"controller in the way": {
			reason:   "unless there is no other way",
			entries:  []metav1.ManagedFieldsEntry{ours, entry("operator", update, `{"f:spec":{"f:ports":{"k:81":{}}}}`)},
			everyone: true,
			want:     map[string]string{FieldManager: `{"f:spec":{"f:type":{},"f:ports":{"k:80":{},"k:81":{}}}}`},
		},
		"nothing theirs": {
			reason:  "a person who owns nothing in the list has nothing to lose",
			entries: []metav1.ManagedFieldsEntry{ours, entry("kubectl", update, `{"f:spec":{"f:other":{}}}`)},
		},
		"never applied": {
			reason:  "without an entry of ours there is nobody to take it over",
			entries: []metav1.ManagedFieldsEntry{entry("kubectl", update, `{"f:spec":{"f:ports":{"k:81":{}}}}`)},
		},
		"garbage": {
			reason:  "an entry that cannot be read stays as it is",
			entries: []metav1.ManagedFieldsEntry{ours, entry("kubectl", update, `[`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, changed := reclaim(tc.entries, ports, tc.everyone)
			require.Equal(t, tc.want != nil, changed, tc.reason)
			if !changed {
				require.Equal(t, tc.entries, got, tc.reason)
				return
			}
			require.Len(t, got, len(tc.want))
			for _, e := range got {
				require.JSONEq(t, tc.want[e.Manager], e.FieldsV1.GetRawString(), tc.reason)
			}
		})
	}
}

func TestStrayLists(t *testing.T) {
	desired := parse(t, `{"metadata":{"finalizers":["a"]},"spec":{"ports":[{"port":80}],"template":{"containers":[{"name":"c","env":[{"name":"A"}]}]}}}`).(map[string]any)
	for name, tc := range map[string]struct {
		reason, live string
		any          bool
		want         [][]string
	}{
		"equal":         {"nothing strays", `{"metadata":{"finalizers":["a"]},"spec":{"ports":[{"port":80,"x":1}],"template":{"containers":[{"name":"c","env":[{"name":"A"}]}]}}}`, false, nil},
		"longer":        {"an item too many", `{"spec":{"ports":[{"port":80},{"port":81}]}}`, false, [][]string{{"spec", "ports"}}},
		"longer within": {"the outermost list is named", `{"spec":{"template":{"containers":[{"name":"c","env":[{"name":"A"},{"name":"B"}]}]}}}`, false, [][]string{{"spec", "template", "containers"}}},
		"finalizers":    {"finalizers are others' business", `{"metadata":{"finalizers":["a","b"]}}`, false, nil},
		"value":         {"a value that differs needs no ownership", `{"spec":{"ports":[{"port":81}],"template":{"containers":[{"name":"c","env":[{"name":"A"}]}]}}}`, false, nil},
		"refused":       {"when the apply was refused it does", `{"spec":{"ports":[{"port":81}],"template":{"containers":[{"name":"c","env":[{"name":"A"}]}]}}}`, true, [][]string{{"spec", "ports"}}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, strayLists(desired, parse(t, tc.live).(map[string]any), tc.any), tc.reason)
		})
	}
}

// Ownership is moved, not made up and not lost.
func TestReclaimProperties(t *testing.T) {
	paths := func(raw []byte) map[string]bool {
		out := map[string]bool{}
		var walk func(string, any)
		walk = func(path string, value any) {
			m, ok := value.(map[string]any)
			if !ok || len(m) == 0 {
				out[path] = true
				return
			}
			for key, child := range m {
				walk(path+"/"+key, child)
			}
		}
		var tree any
		_ = json.Unmarshal(raw, &tree)
		walk("", tree)
		return out
	}
	fields := rapid.Custom(func(t *rapid.T) map[string]any {
		tree := map[string]any{}
		for range rapid.IntRange(1, 6).Draw(t, "n") {
			at := tree
			for range rapid.IntRange(1, 4).Draw(t, "depth") {
				name := "f:" + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
				next, ok := at[name].(map[string]any)
				if !ok {
					next = map[string]any{}
					at[name] = next
				}
				at = next
			}
		}
		return tree
	})
	rapid.Check(t, func(t *rapid.T) {
		var entries []metav1.ManagedFieldsEntry
		before := map[string]bool{}
		for i, manager := range []string{FieldManager, "kubectl", "operator"} {
			raw, _ := json.Marshal(fields.Draw(t, manager))
			operation := metav1.ManagedFieldsOperationUpdate
			if i == 0 {
				operation = metav1.ManagedFieldsOperationApply
			}
			entries = append(entries, entry(manager, operation, string(raw)))
			for path := range paths(raw) {
				before[path] = true
			}
		}
		list := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3).Draw(t, "list")
		got, _ := reclaim(entries, [][]string{list}, rapid.Bool().Draw(t, "everyone"))
		after := map[string]bool{}
		for _, e := range got {
			for path := range paths(e.FieldsV1.GetRawBytes()) {
				after[path] = true
				if !before[path] {
					t.Fatalf("%s was owned by nobody", path)
				}
			}
		}
		for path := range before {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(after)), func(p string) bool { return strings.HasPrefix(p, path) }) {
				t.Fatalf("%s is owned by nobody now", path)
			}
		}
	})
}
