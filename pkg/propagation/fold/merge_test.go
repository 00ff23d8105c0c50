package fold

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

type item = workv1alpha2.AggregatedStatusItem

func raw(s string) *runtime.RawExtension {
	if s == "" {
		return nil
	}
	return &runtime.RawExtension{Raw: []byte(s)}
}

func applied(cluster string) item {
	return item{ClusterName: cluster, Applied: true, Health: workv1alpha2.ResourceHealthy}
}

func failed(cluster, message string) item {
	return item{ClusterName: cluster, AppliedMessage: message, Health: workv1alpha2.ResourceUnknown}
}

// on is a binding of clusters, with the items stored.
func on(clusters []string, stored ...item) *workv1alpha2.ResourceBinding {
	b := &workv1alpha2.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "b"}}
	for _, c := range clusters {
		b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c})
	}
	b.Status.AggregatedStatus = stored
	return b
}

func reportsOf(items ...item) reports {
	out := reports{}
	for _, i := range items {
		out[i.ClusterName] = i
	}
	return out
}

func TestMerge(t *testing.T) {
	tests := map[string]struct {
		reason  string
		binding *workv1alpha2.ResourceBinding
		pending reports
		items   []item
		status  metav1.ConditionStatus // of FullyApplied, empty for none
		message string
	}{
		"first reports": {
			reason:  "items are sorted by cluster, whatever the order of the targets",
			binding: on([]string{"us", "ap", "eu"}),
			pending: reportsOf(applied("us"), applied("eu"), applied("ap")),
			items:   []item{applied("ap"), applied("eu"), applied("us")},
			status:  metav1.ConditionTrue, message: "All works",
		},
		"one is missing": {
			reason:  "the condition names who is waited for",
			binding: on([]string{"ap", "eu"}),
			pending: reportsOf(applied("eu")),
			items:   []item{applied("eu")},
			status:  metav1.ConditionFalse, message: "Waiting for ap",
		},
		"one failed": {
			reason:  "the condition says where and why",
			binding: on([]string{"ap", "eu"}),
			pending: reportsOf(applied("eu"), failed("ap", "spec.selector is immutable")),
			items:   []item{failed("ap", "spec.selector is immutable"), applied("eu")},
			status:  metav1.ConditionFalse, message: "Not applied in ap: spec.selector is immutable",
		},
		"failed and missing": {
			reason:  "the failure is what people have to act on",
			binding: on([]string{"ap", "eu", "us"}),
			pending: reportsOf(failed("ap", "no")),
			items:   []item{failed("ap", "no")},
			status:  metav1.ConditionFalse, message: "Not applied in ap: no",
		},
		"all failed": {
			reason:  "all of them, in order",
			binding: on([]string{"b", "a"}),
			pending: reportsOf(failed("a", "x"), failed("b", "y")),
			items:   []item{failed("a", "x"), failed("b", "y")},
			status:  metav1.ConditionFalse, message: "Not applied in a: x; b: y",
		},
		"stored items stay": {
			reason:  "who has nothing new keeps what it said",
			binding: on([]string{"ap", "eu"}, applied("ap"), failed("eu", "no")),
			pending: reportsOf(applied("eu")),
			items:   []item{applied("ap"), applied("eu")},
			status:  metav1.ConditionTrue, message: "All works",
		},
		"cluster taken away": {
			reason:  "its item goes, and what it still reports is not taken",
			binding: on([]string{"ap"}, applied("ap"), applied("eu")),
			pending: reportsOf(failed("eu", "late")),
			items:   []item{applied("ap")},
			status:  metav1.ConditionTrue, message: "All works",
		},
		"cluster added": {
			reason:  "FullyApplied takes it into account before it has reported",
			binding: on([]string{"ap", "eu"}, applied("ap")),
			items:   []item{applied("ap")},
			status:  metav1.ConditionFalse, message: "Waiting for eu",
		},
		"no clusters any more": {
			reason:  "nothing is to be applied, so nothing is said about it",
			binding: on(nil, applied("ap")),
			items:   []item{},
		},
		"required by another binding": {
			reason: "a dependency is applied where what needs it is",
			binding: func() *workv1alpha2.ResourceBinding {
				b := on([]string{"eu"})
				b.Spec.RequiredBy = []workv1alpha2.BindingSnapshot{{Name: "x", Clusters: []workv1alpha2.TargetCluster{{Name: "ap"}, {Name: "eu"}}}}
				return b
			}(),
			pending: reportsOf(applied("ap"), applied("eu")),
			items:   []item{applied("ap"), applied("eu")},
			status:  metav1.ConditionTrue, message: "All works",
		},
		"unhealthy is applied": {
			reason:  "health is another question",
			binding: on([]string{"eu"}),
			pending: reportsOf(item{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnhealthy}),
			items:   []item{{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnhealthy}},
			status:  metav1.ConditionTrue, message: "All works",
		},
	}
	for name, tt := range tests {
		for _, scope := range []string{"namespaced", "cluster"} {
			t.Run(name+" "+scope, func(t *testing.T) {
				var b workv1alpha2.Binding = tt.binding.DeepCopy()
				if scope == "cluster" {
					b = &workv1alpha2.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: tt.binding.Spec, Status: *tt.binding.Status.DeepCopy()}
				}
				assert.True(t, merge(b, tt.pending), tt.reason)
				assert.Equal(t, tt.items, b.GetStatus().AggregatedStatus, tt.reason)
				c := meta.FindStatusCondition(b.GetStatus().Conditions, workv1alpha2.FullyApplied)
				if tt.status == "" {
					assert.Nil(t, c, tt.reason)
				} else {
					require.NotNil(t, c)
					assert.Equal(t, tt.status, c.Status, tt.reason)
					assert.Contains(t, c.Message, tt.message, tt.reason)
					assert.Empty(t, metav1validation.ValidateConditions(b.GetStatus().Conditions, nil))
				}
				assert.False(t, merge(b, tt.pending), "said again, it changes nothing")
			})
		}
	}
}

func TestMergeKeepsOtherConditions(t *testing.T) {
	b := on([]string{"eu"}, applied("eu"))
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: workv1alpha2.Scheduled, Status: metav1.ConditionTrue, Reason: "Success"})
	require.True(t, merge(b, nil))
	require.Len(t, b.Status.Conditions, 2)
	b.Spec.Clusters = nil
	require.True(t, merge(b, nil))
	require.Len(t, b.Status.Conditions, 1)
	assert.Equal(t, workv1alpha2.Scheduled, b.Status.Conditions[0].Type)
	require.False(t, merge(on(nil), nil), "a binding of nothing that says nothing")
}

func TestSettled(t *testing.T) {
	unhealthy := item{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnhealthy}
	tests := map[string]struct {
		reason  string
		binding *workv1alpha2.ResourceBinding
		pending reports
		want    bool
	}{
		"all healthy":          {"nothing better can come", on([]string{"ap", "eu"}, applied("ap")), reportsOf(applied("eu")), true},
		"health unknown":       {"kinds nobody understands never become healthy", on([]string{"eu"}), reportsOf(item{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnknown}), true},
		"one missing":          {"it will report", on([]string{"ap", "eu"}), reportsOf(applied("eu")), false},
		"one failed":           {"it tries again", on([]string{"eu"}), reportsOf(failed("eu", "x")), false},
		"one unhealthy":        {"pods are starting", on([]string{"eu"}), reportsOf(unhealthy), false},
		"was unhealthy":        {"news counts, not what is stored", on([]string{"eu"}, unhealthy), reportsOf(applied("eu")), true},
		"was healthy":          {"as above", on([]string{"eu"}, applied("eu")), reportsOf(unhealthy), false},
		"unhealthy, taken off": {"only the clusters of now count", on([]string{"ap"}, applied("ap"), unhealthy), nil, true},
		"nowhere":              {"there is nothing to wait for", on(nil), nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, settled(&tt.binding.Spec, tt.binding.Status.AggregatedStatus, tt.pending), tt.reason)
		})
	}
}

func TestEqualRaw(t *testing.T) {
	tests := map[string]struct {
		a, b string
		want bool
	}{
		"both none":           {"", "", true},
		"one none":            {"", `{}`, false},
		"same":                {`{"a":1}`, `{"a":1}`, true},
		"keys in other order": {`{"a":1,"b":{"c":2,"d":3}}`, `{ "b": {"d":3,"c":2}, "a": 1 }`, true},
		"other value":         {`{"a":1}`, `{"a":2}`, false},
		"order of a list":     {`[1,2]`, `[2,1]`, false},
		"null is not absent":  {`{"a":null}`, `{}`, false},
		"great numbers":       {`{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		"not JSON":            {`{`, `{}`, false},
		"not JSON, the same":  {`{`, `{`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, equalRaw(raw(tt.a), raw(tt.b)))
			assert.Equal(t, tt.want, equalRaw(raw(tt.b), raw(tt.a)), "both ways")
		})
	}
	assert.True(t, equalRaw(nil, &runtime.RawExtension{}), "an empty one is none")
}

// A merge of any reports into any binding gives a status that storage takes, and
// is stable.
func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cluster := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		anItem := rapid.Custom(func(t *rapid.T) item {
			i := item{ClusterName: cluster.Draw(t, "cluster"), Applied: rapid.Bool().Draw(t, "applied")}
			i.Health = rapid.SampledFrom([]workv1alpha2.ResourceHealth{"", "Healthy", "Unhealthy", "Unknown"}).Draw(t, "health")
			i.Status = raw(rapid.SampledFrom([]string{"", `{"a":1}`, `{"a":2}`}).Draw(t, "status"))
			if !i.Applied {
				i.AppliedMessage = rapid.SampledFrom([]string{"", "no", strings.Repeat("é", 20000)}).Draw(t, "message")
			}
			return i
		})
		byCluster := func(i item) string { return i.ClusterName }
		b := on(rapid.SliceOfDistinct(cluster, rapid.ID[string]).Draw(t, "targets"), rapid.SliceOfNDistinct(anItem, 0, 5, byCluster).Draw(t, "stored")...)
		pending := reportsOf(rapid.SliceOfN(anItem, 0, 5).Draw(t, "pending")...)
		before, news := b.DeepCopy(), maps.Clone(pending)

		merge(b, pending)
		require.Equal(t, news, pending, "reports are only read")
		require.Equal(t, before.Spec, b.Spec)
		require.False(t, merge(b, pending))
		items := b.Status.AggregatedStatus
		require.True(t, slices.IsSortedFunc(items, func(x, y item) int { return strings.Compare(x.ClusterName, y.ClusterName) }) || len(pending) == 0)
		targets := targetsOf(&b.Spec)
		for _, i := range items {
			require.Contains(t, targets, i.ClusterName)
			if p, ok := pending[i.ClusterName]; ok {
				require.True(t, equal(p, i))
			}
		}
		for c := range pending {
			if slices.Contains(targets, c) {
				require.True(t, slices.ContainsFunc(items, func(i item) bool { return i.ClusterName == c }))
			}
		}
		require.Empty(t, metav1validation.ValidateConditions(b.Status.Conditions, nil))
		full := meta.IsStatusConditionTrue(b.Status.Conditions, workv1alpha2.FullyApplied)
		require.Equal(t, len(targets) > 0 && len(items) == len(targets) && !slices.ContainsFunc(items, func(i item) bool { return !i.Applied }), full)
	})
}

func FuzzTruncate(f *testing.F) {
	f.Add(strings.Repeat("a", maxMessage+1))
	f.Add(strings.Repeat("é", maxMessage/2+1))
	f.Add("a" + strings.Repeat("日", maxMessage/3+1))
	f.Add(strings.Repeat("\xff", maxMessage+5))
	f.Fuzz(func(t *testing.T, s string) {
		cut := truncate(s)
		if len(cut) > maxMessage {
			t.Fatalf("%d bytes", len(cut))
		}
		if len(s) <= maxMessage && cut != s {
			t.Fatal("short enough, and changed")
		}
		if !utf8.ValidString(s) {
			return // it cannot come: JSON is decoded into valid text
		}
		encoded, err := json.Marshal(cut)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(encoded, &back); err != nil || back != cut {
			t.Fatalf("changed by being stored: %d bytes, then %d: %v", len(cut), len(back), err)
		}
	})
}

func FuzzEqualRaw(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{"a": 1}`))
	f.Add([]byte(`{"a":1e2}`), []byte(`{"a":100}`))
	f.Add([]byte(``), []byte(`null`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, y := &runtime.RawExtension{Raw: a}, &runtime.RawExtension{Raw: b}
		if equalRaw(x, y) != equalRaw(y, x) {
			t.Fatal("depends on the order")
		}
		if !equalRaw(x, x.DeepCopy()) {
			t.Fatal("differs from itself")
		}
	})
}

func TestWhatCannotBeRenderedIsNotApplied(t *testing.T) {
	b := on([]string{"ap", "eu"})
	require.True(t, merge(b, reports{
		"ap": {ClusterName: "ap", Applied: true}, "eu": {ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceHealthy},
	}))
	failures := map[string]string{"eu": "OverridePolicy default/mirror does not fit"}
	require.True(t, merge(b, withFailures(b, nil, failures)))
	eu := b.Status.AggregatedStatus[1]
	require.False(t, eu.Applied)
	require.Equal(t, failures["eu"], eu.AppliedMessage)
	require.Equal(t, workv1alpha2.ResourceHealthy, eu.Health, "what runs goes on running")
	require.False(t, merge(b, withFailures(b, nil, failures)), "said again, it changes nothing")
	require.True(t, merge(b, withFailures(b, reports{"eu": {ClusterName: "eu", Applied: true}}, nil)), "mended, and reported")
	require.True(t, b.Status.AggregatedStatus[1].Applied)
}

func TestOneClusterCannotFillTheBinding(t *testing.T) {
	large := itemOf("eu", agentv1alpha1.WorkObservation{
		Message: strings.Repeat("ü", maxAppliedBytes),
		Status:  &runtime.RawExtension{Raw: []byte(`"` + strings.Repeat("x", maxStatusBytes) + `"`)},
		Health:  string(workv1alpha2.ResourceUnhealthy),
	})
	require.Nil(t, large.Status)
	require.LessOrEqual(t, len(large.AppliedMessage), maxAppliedBytes+len("..."))
	require.Equal(t, workv1alpha2.ResourceUnhealthy, large.Health, "the rest is kept")
	small := itemOf("eu", agentv1alpha1.WorkObservation{Status: &runtime.RawExtension{Raw: []byte(`{}`)}})
	require.NotNil(t, small.Status)
}
