package apply

import (
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"pgregory.net/rapid"
)

func parse(t require.TestingT, text string) any {
	var out any
	require.NoError(t, utiljson.Unmarshal([]byte(text), &out))
	return out
}

func TestSubset(t *testing.T) {
	for name, tc := range map[string]struct {
		reason        string
		desired, live string
		want          bool
	}{
		"equal":              {"nothing differs", `{"a":1}`, `{"a":1}`, true},
		"others' fields":     {"only what we say counts", `{"a":1}`, `{"a":1,"b":2}`, true},
		"nested":             {"maps are compared by our keys, at any depth", `{"a":{"b":1}}`, `{"a":{"b":1,"c":2}}`, true},
		"value":              {"a value of ours was changed", `{"a":{"b":1}}`, `{"a":{"b":2}}`, false},
		"missing":            {"a value of ours was removed", `{"a":1}`, `{}`, false},
		"numbers":            {"1 and 1.0 are one number", `{"a":1}`, `{"a":1.0}`, true},
		"big numbers":        {"integers beyond 2^53 are not rounded", `{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		"types":              {"a string is no number", `{"a":"1"}`, `{"a":1}`, false},
		"list length":        {"an item was added to a list of ours", `{"a":[1]}`, `{"a":[1,2]}`, false},
		"list order":         {"lists are compared by index", `{"a":[1,2]}`, `{"a":[2,1]}`, false},
		"list of maps":       {"items of lists are compared like maps: defaults are no drift", `{"a":[{"n":"x"}]}`, `{"a":[{"n":"x","d":1}]}`, true},
		"null":               {"null asks for absence", `{"a":null}`, `{}`, true},
		"null against value": {"and is not given", `{"a":null}`, `{"a":1}`, false},
		"empty map":          {"the API server may drop an empty map", `{"a":{}}`, `{}`, true},
		"empty list":         {"and an empty list", `{"a":[]}`, `{}`, true},
		"empty against full": {"an empty list of ours that is full is drift", `{"a":[]}`, `{"a":[1]}`, false},
		"scalar for map":     {"shapes differ", `{"a":{"b":1}}`, `{"a":1}`, false},
		"map for scalar":     {"shapes differ, and maps cannot be compared with ==", `{"a":1}`, `{"a":{"b":1}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, Subset(parse(t, tc.desired), parse(t, tc.live)), tc.reason)
		})
	}
}

func TestFingerprint(t *testing.T) {
	desired := parse(t, `{"spec":{"cpu":"1000m","list":[1],"absent":true},"n":1}`)
	base := Fingerprint(desired, parse(t, `{"spec":{"cpu":"1","list":[1,2]},"n":1}`))
	for name, tc := range map[string]struct {
		reason, live string
		same         bool
	}{
		"others' fields": {"what we do not speak of does not count", `{"spec":{"cpu":"1","list":[1,2],"x":1},"n":1,"status":{"y":2}}`, true},
		"number form":    {"1.0 is 1", `{"spec":{"cpu":"1","list":[1,2]},"n":1.0}`, true},
		"value":          {"a value of ours changed", `{"spec":{"cpu":"2","list":[1,2]},"n":1}`, false},
		"list":           {"a list that does not fit counts as a whole", `{"spec":{"cpu":"1","list":[1,3]},"n":1}`, false},
		"appeared":       {"what was absent appeared", `{"spec":{"cpu":"1","list":[1,2],"absent":false},"n":1}`, false},
		"shape":          {"a map became a scalar", `{"spec":"cpu","n":1}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.same, base == Fingerprint(desired, parse(t, tc.live)), tc.reason)
		})
	}
}

// tree draws JSON values.
func tree(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		if depth == 0 {
			kind %= 4
		}
		switch kind {
		case 0:
			return rapid.StringN(0, 3, 8).Draw(t, "s")
		case 1:
			return rapid.Int64().Draw(t, "i")
		case 2:
			return rapid.Bool().Draw(t, "b")
		case 3:
			return rapid.Float64Range(-1e6, 1e6).Draw(t, "f")
		case 4:
			list := rapid.SliceOfN(tree(depth-1), 0, 3).Draw(t, "list")
			out := make([]any, len(list))
			copy(out, list)
			return out
		default:
			return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), tree(depth-1), 0, 4).Draw(t, "map")
		}
	})
}

// grow adds fields to the maps of a tree, as other owners and defaulting do.
func grow(t *rapid.T, value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, child := range v {
			out[key] = grow(t, child)
		}
		if rapid.Bool().Draw(t, "grow") {
			out["added"] = rapid.Int64().Draw(t, "added")
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = grow(t, v[i])
		}
		return out
	}
	return value
}

func TestSubsetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired := tree(3).Draw(t, "desired")
		if !Subset(desired, desired) {
			t.Fatal("not a subset of itself")
		}
		live := grow(t, desired)
		if !Subset(desired, live) {
			t.Fatal("fields of others are taken for drift")
		}
		if Fingerprint(desired, live) != Fingerprint(desired, desired) {
			t.Fatal("fields of others change the fingerprint")
		}
		other := tree(3).Draw(t, "other")
		if !Subset(desired, other) && Subset(desired, live) && Fingerprint(desired, other) == Fingerprint(desired, live) {
			// Equal prints of an object in sync and one that is not: drift would be accepted.
			t.Fatalf("drift has the fingerprint of what is in sync")
		}
	})
}

func FuzzSubset(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":null}]}}`, `{"a":{"b":[1,{"c":2}]}}`)
	f.Add(`[]`, `{}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		var desired, live any
		if utiljson.Unmarshal([]byte(a), &desired) != nil || utiljson.Unmarshal([]byte(b), &live) != nil {
			t.Skip()
		}
		if !Subset(desired, desired) {
			t.Fatal("not a subset of itself")
		}
		Subset(desired, live)
		if first := Fingerprint(desired, live); first != Fingerprint(desired, live) {
			t.Fatal("not deterministic")
		}
	})
}

// benchDeployment is of the size that charts produce.
const benchDeployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","labels":{"app":"web","karmada.io/managed":"true"},
"annotations":{"work.karmada.io/name":"web-1","work.karmada.io/namespace":"karmada-es-eu","resourcetemplate.karmada.io/uid":"c3b1"}},
"spec":{"replicas":3,"revisionHistoryLimit":10,"selector":{"matchLabels":{"app":"web"}},"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}},
"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"registry.example.com/shop/web:1.2.3","ports":[{"containerPort":8080,"protocol":"TCP"}],
"env":[{"name":"A","value":"1"},{"name":"B","value":"2"},{"name":"C","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}],
"resources":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"memory":"256Mi"}},"livenessProbe":{"httpGet":{"path":"/healthz","port":8080},"periodSeconds":10},
"volumeMounts":[{"name":"config","mountPath":"/etc/web"}]}],"volumes":[{"name":"config","configMap":{"name":"web"}}],"terminationGracePeriodSeconds":30}}}}`

func BenchmarkSubset(b *testing.B) {
	desired, live := parse(b, benchDeployment), parse(b, benchDeployment)
	b.ReportAllocs()
	for b.Loop() {
		if !Subset(desired, live) {
			b.Fatal("drift")
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	desired, live := parse(b, benchDeployment), parse(b, benchDeployment)
	b.ReportAllocs()
	for b.Loop() {
		Fingerprint(desired, live)
	}
}
