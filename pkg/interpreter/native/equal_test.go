package native

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEqual(t *testing.T) {
	for name, c := range map[string]struct {
		a, b   string
		want   bool
		reason string
	}{
		"blank":          {`{"a":0,"b":"","c":null,"d":[],"e":{},"f":false}`, `{}`, true, "all ways to say nothing"},
		"nested blank":   {`{"a":{"b":{"c":0}}}`, `{"x":null}`, true, "all the way down"},
		"list of blanks": {`{"a":[{}]}`, `{"a":[]}`, false, "the length says something"},
		"numbers":        {`{"a":3}`, `{"a":3.0}`, true, "one type of number"},
		"fractions":      {`{"a":0.5}`, `{"a":0.5}`, true, "equal"},
		"other number":   {`{"a":3}`, `{"a":4}`, false, "differ"},
		"number, text":   {`{"a":3}`, `{"a":"3"}`, false, "differ"},
		"missing":        {`{"a":3,"b":1}`, `{"a":3}`, false, "b is not blank"},
		"extra":          {`{"a":3}`, `{"a":3,"b":1}`, false, "b is not blank"},
		"order":          {`["a","b"]`, `["b","a"]`, false, "lists have an order"},
		"map, list":      {`{"a":["x"]}`, `{"a":{"x":1}}`, false, "differ"},
		"true, false":    {`{"a":true}`, `{"a":false}`, false, "differ"},
	} {
		t.Run(name, func(t *testing.T) {
			var a, b any
			require.NoError(t, json.Unmarshal([]byte(c.a), &a))
			require.NoError(t, json.Unmarshal([]byte(c.b), &b))
			require.Equal(t, c.want, equal(a, b), c.reason)
			require.Equal(t, c.want, equal(b, a), "both ways: "+c.reason)
		})
	}
}

func TestEqualIsReflexiveAndSymmetric(t *testing.T) {
	value := drawTree()
	rapid.Check(t, func(t *rapid.T) {
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		require.True(t, equal(a, a))
		require.Equal(t, equal(a, b), equal(b, a))
	})
}

// drawTree draws any JSON value.
func drawTree() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Float64Range(-1e6, 1e6).AsAny(), rapid.StringN(0, 3, -1).AsAny(),
		rapid.SliceOfN(rapid.Deferred(drawTree), 0, 3).AsAny(),
		rapid.MapOfN(rapid.StringN(1, 2, -1), rapid.Deferred(drawTree), 0, 3).AsAny(),
	)
}
