package native

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// object reads an object from YAML.
func object(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	require.NoError(t, err)
	obj := &unstructured.Unstructured{}
	require.NoError(t, obj.UnmarshalJSON(raw))
	return obj
}

// tree reads a bare YAML map as it would be inside an object.
func tree(t testing.TB, text string) map[string]any {
	t.Helper()
	return object(t, "kind: Tree\ncontent:\n"+indent(text)).Object["content"].(map[string]any)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}

// report is one cluster's status, given as YAML; "" is a cluster that has not
// reported.
func report(t testing.TB, cluster, status string) workv1alpha2.AggregatedStatusItem {
	t.Helper()
	item := workv1alpha2.AggregatedStatusItem{ClusterName: cluster, Applied: true}
	if status != "" {
		raw, err := yaml.YAMLToJSON([]byte(status))
		require.NoError(t, err)
		item.Status = &runtime.RawExtension{Raw: raw}
	}
	return item
}

func interpretation(t testing.TB, obj *unstructured.Unstructured) Kind {
	t.Helper()
	kind, ok := For(obj.GroupVersionKind().GroupKind())
	require.True(t, ok, "not native: %s", obj.GroupVersionKind())
	return kind
}

// requireTree compares JSON trees by what they mean to the API.
func requireTree(t testing.TB, want, got any, reason string) {
	t.Helper()
	if !equal(want, got) {
		require.Fail(t, reason, cmp.Diff(want, got))
	}
}

// reflected is ReflectStatus as a tree; nil if there is nothing to tell.
func reflected(t testing.TB, obj *unstructured.Unstructured) map[string]any {
	t.Helper()
	ext, err := interpretation(t, obj).ReflectStatus(obj)
	require.NoError(t, err)
	if ext == nil {
		return nil
	}
	var out map[string]any
	require.NoError(t, json.Unmarshal(ext.Raw, &out))
	return out
}

// aggregateCase is a template with what its clusters report and the status
// that makes.
type aggregateCase struct {
	reason   string
	template string
	items    map[string]string // cluster: status
	want     string            // the template's status
	same     bool              // nothing changes
}

func (c aggregateCase) run(t *testing.T) {
	t.Helper()
	template := object(t, c.template)
	before := template.DeepCopy()
	var items []workv1alpha2.AggregatedStatusItem
	for cluster, status := range c.items { // in any order
		items = append(items, report(t, cluster, status))
	}
	kind := interpretation(t, template)
	changed, err := kind.AggregateStatus(template, items)
	require.NoError(t, err, c.reason)
	require.Equal(t, !c.same, changed, c.reason)
	if c.same {
		require.Equal(t, before, template, c.reason)
	} else {
		requireTree(t, tree(t, c.want), template.Object["status"], c.reason)
	}

	after := template.DeepCopy()
	changed, err = kind.AggregateStatus(template, items)
	require.NoError(t, err, c.reason)
	require.False(t, changed, "a second call must find nothing to change: "+c.reason)
	require.Equal(t, after, template, c.reason)
	require.NotPanics(t, func() { template.DeepCopy() }, "only JSON types may be written: "+c.reason)
}

// header turns "apps/v1 Deployment" into the first lines of a manifest.
func header(kind string) string {
	version, kind, _ := strings.Cut(kind, " ")
	return "apiVersion: " + version + "\nkind: " + kind + "\n"
}
