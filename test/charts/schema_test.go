package charts

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type schema struct {
	Ref                  string            `json:"$ref"`
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Defs                 map[string]schema `json:"$defs"`
}

// The schema and values.yaml name the same values: a new one needs both, and one
// that is gone is gone from both.
func TestSchemaIsComplete(t *testing.T) {
	var root schema
	require.NoError(t, json.Unmarshal(read(t, filepath.Join(directory, "values.schema.json")), &root))
	values := parse(t, string(read(t, filepath.Join(directory, "values.yaml"))))
	values["global"] = nil // of a parent chart
	compare(t, root, root, values, "")
}

func compare(t *testing.T, root, here schema, values map[string]any, path string) {
	t.Helper()
	if name := filepath.Base(here.Ref); here.Ref != "" {
		here = root.Defs[name]
	}
	if len(here.Properties) == 0 {
		return // a free map
	}
	assert.Equal(t, "false", string(here.AdditionalProperties), "%s: typing errors would be ignored", path)
	for key, value := range values {
		below, ok := here.Properties[key]
		assert.True(t, ok, "%s.%s is not in the schema", path, key)
		if m, isMap := value.(map[string]any); isMap && len(m) > 0 {
			compare(t, root, below, m, path+"."+key)
		}
	}
	for key := range here.Properties {
		if isResources(here) {
			continue
		}
		_, ok := values[key]
		assert.True(t, ok, "%s.%s is in the schema only", path, key)
	}
}

// isResources tells the map of Kubernetes' own shape, which values.yaml need not fill.
func isResources(s schema) bool {
	_, requests := s.Properties["requests"]
	return requests
}
