package inventory

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func key(name string) Key { return Key{Kind: "ConfigMap", Namespace: "n", Name: name} }

// record has a manifest per object.
func record(name string, objects ...string) *Record {
	r := &Record{Name: name}
	for _, o := range objects {
		r.Objects = append(r.Objects, Object{Key: key(o), Version: "v1"})
		r.Manifests = append(r.Manifests, json.RawMessage(fmt.Sprintf("%q", o)))
	}
	return r
}

func with(r *Record, change func(*Record)) *Record {
	change(r)
	return r
}

func TestDiff(t *testing.T) {
	suspended := func(r *Record) { r.Suspended = true }
	preserve := func(r *Record) { r.Preserve = true }
	for name, tc := range map[string]struct {
		reason                  string
		have, want              []*Record
		kept                    []string
		set, same, gone, doomed []string
		total                   int
	}{
		"first list": {reason: "everything is new", want: []*Record{record("w", "a")}, set: []string{"w"}},
		"same list":  {reason: "a list that says the same does nothing", have: []*Record{record("w", "a")}, want: []*Record{record("w", "a")}, same: []string{"w"}, total: 1},
		"gone":       {reason: "its objects would be deleted", have: []*Record{record("w", "a", "b")}, gone: []string{"w"}, doomed: []string{"a", "b"}, total: 2},
		"dropped":    {reason: "a manifest less", have: []*Record{record("w", "a", "b")}, want: []*Record{record("w", "a")}, set: []string{"w"}, doomed: []string{"b"}, total: 2},
		"moved": {reason: "an object that another work names is not deleted", have: []*Record{record("w", "a")}, want: []*Record{record("v", "a")},
			set: []string{"v"}, gone: []string{"w"}, total: 1},
		"kept":             {reason: "a work that could not be rendered stays", have: []*Record{record("w", "a")}, kept: []string{"w"}, total: 1},
		"kept while moved": {reason: "and keeps its objects from others' deletions", have: []*Record{record("w", "a"), record("v", "a")}, kept: []string{"w"}, gone: []string{"v"}, total: 1},
		"suspended": {reason: "nothing of it is pruned", have: []*Record{record("w", "a", "b")}, want: []*Record{with(record("w", "a"), suspended)},
			set: []string{"w"}, total: 2},
		"incomplete": {reason: "a manifest that cannot be read does not delete what it named", have: []*Record{record("w", "a", "b")},
			want: []*Record{with(record("w", "a"), func(r *Record) { r.Incomplete = true })}, set: []string{"w"}, total: 2},
		"preserved": {reason: "released objects are no deletions", have: []*Record{with(record("w", "a"), preserve)}, gone: []string{"w"}, total: 1},
		"unmanaged": {reason: "what was never ours does not count", have: []*Record{with(record("w", "a"), func(r *Record) { r.Objects[0].Unmanaged = true })}, gone: []string{"w"}},
		"agreed":    {reason: "a removal that was agreed is not asked about again", have: []*Record{with(record("w", "a"), func(r *Record) { r.Removed, r.Manifests = true, nil })}},
		"leftover":  {reason: "nor is that of a manifest", have: []*Record{with(record("w", "a", "b"), func(r *Record) { r.Manifests = r.Manifests[:1] })}, want: []*Record{record("w", "a")}, same: []string{"w"}, total: 1},
		"removed, wanted again": {reason: "it has to be set", have: []*Record{with(record("w", "a"), func(r *Record) { r.Removed, r.Manifests = true, nil })}, want: []*Record{record("w", "a")},
			set: []string{"w"}},
		"another UID": {reason: "it is reported under the new one", have: []*Record{record("w", "a")}, want: []*Record{with(record("w", "a"), func(r *Record) { r.UID = "x" })}, set: []string{"w"}, total: 1},
	} {
		t.Run(name, func(t *testing.T) {
			kept := map[string]bool{}
			for _, k := range tc.kept {
				kept[k] = true
			}
			plan := Diff(tc.have, tc.want, kept)
			var set, doomed []string
			for _, r := range plan.Set {
				set = append(set, r.Name)
			}
			for _, k := range plan.Doomed {
				doomed = append(doomed, k.Name)
			}
			require.Equal(t, tc.set, set, tc.reason)
			require.Equal(t, tc.same, plan.Same, tc.reason)
			require.Equal(t, tc.gone, plan.Gone, tc.reason)
			require.Equal(t, tc.doomed, doomed, tc.reason)
			require.Equal(t, tc.total, plan.Total, tc.reason)
		})
	}
}

func records(label string) *rapid.Generator[[]*Record] {
	return rapid.Custom(func(t *rapid.T) []*Record {
		var out []*Record
		for i := range rapid.IntRange(0, 6).Draw(t, label) {
			objects := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}), 0, 3, rapid.ID[string]).Draw(t, "objects")
			r := record(fmt.Sprintf("w%d", i), objects...)
			r.Suspended = rapid.IntRange(0, 9).Draw(t, "suspended") == 0
			r.Preserve = rapid.IntRange(0, 9).Draw(t, "preserve") == 0
			if rapid.Bool().Draw(t, "listed") {
				out = append(out, r)
			}
		}
		return out
	})
}

func TestDiffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := records("have").Draw(t, "have"), records("want").Draw(t, "want")
		plan := Diff(have, want, nil)
		for _, doomed := range plan.Doomed {
			for _, r := range want {
				if r.Object(doomed) != nil {
					t.Fatalf("%s is wanted by %s and doomed", doomed, r.Name)
				}
			}
			if !slices.ContainsFunc(have, func(r *Record) bool { return r.Object(doomed) != nil }) {
				t.Fatalf("%s was never ours and is doomed", doomed)
			}
		}
		if len(plan.Doomed) > plan.Total {
			t.Fatal("more is doomed than there is")
		}
		if len(plan.Set)+len(plan.Same) != len(want) {
			t.Fatal("a work of the list is forgotten")
		}
		again := Diff(want, want, nil)
		if len(again.Set)+len(again.Gone)+len(again.Doomed) > 0 {
			t.Fatal("the same list twice is not nothing")
		}
	})
}

func TestGuard(t *testing.T) {
	for _, tc := range []struct {
		reason        string
		doomed, total int
		want          bool
	}{
		{"nothing", 0, 0, false},
		{"five always go, even if they are all", 5, 5, false},
		{"six of six need a word", 6, 6, true},
		{"half may go", 50, 100, false},
		{"more than half needs a word", 51, 100, true},
		{"six of eleven are more than half", 6, 11, true},
		{"six of twelve are not", 6, 12, false},
	} {
		require.Equal(t, tc.want, DefaultGuard.Holds(tc.doomed, tc.total), tc.reason)
	}
}

func TestToken(t *testing.T) {
	a, b := key("a"), key("b")
	require.Equal(t, Token("n", []Key{a, b}), Token("n", []Key{b, a}), "the order does not matter")
	require.NotEqual(t, Token("n", []Key{a}), Token("n", []Key{a, b}), "a confirmation is for exactly these")
	require.NotEqual(t, Token("n", []Key{{Kind: "A", Name: "bc"}}), Token("n", []Key{{Kind: "Ab", Name: "c"}}))
	require.NotEqual(t, Token("n", []Key{a}), Token("m", []Key{a}), "and for this time only")
	first, second := Nonce(), Nonce()
	require.NotEqual(t, first, second)
	require.Equal(t, []string{"ConfigMap n/a"}, Sample([]Key{a, b}, 1))
}
