package native

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// tallies are the kinds whose status adds up, with the fields that do.
func tallies() map[string][]string {
	fields := map[string][]string{}
	for kind, t := range map[string]tally{
		"apps/v1 Deployment":                     &deploymentStatus{},
		"apps/v1 StatefulSet":                    &statefulSetStatus{},
		"apps/v1 DaemonSet":                      &daemonSetStatus{},
		"apps/v1 ReplicaSet":                     &replicaSetStatus{},
		"policy/v1 PodDisruptionBudget":          &disruptionStatus{},
		"autoscaling/v2 HorizontalPodAutoscaler": &autoscalerStatus{},
	} {
		for _, c := range t.counters() {
			fields[kind] = append(fields[kind], c.field)
		}
	}
	return fields
}

// TestStatusTravelsWhole takes a status through the whole way: what members
// hold, reflected and aggregated, is the sum.
func TestStatusTravelsWhole(t *testing.T) {
	for header, fields := range tallies() {
		t.Run(header, rapid.MakeCheck(func(t *rapid.T) {
			kind, template := drawTemplate(t, header)
			newest := generation(template)
			want, upToDate := map[string]int64{}, true
			var items []workv1alpha2.AggregatedStatusItem
			for i := range rapid.IntRange(1, 6).Draw(t, "clusters") {
				obj, observed := drawInMember(t, template, fields)
				upToDate = upToDate && observed >= newest
				for _, field := range fields {
					want[field] += integer(status(obj), field)
				}
				ext, err := kind.ReflectStatus(obj)
				require.NoError(t, err)
				items = append(items, workv1alpha2.AggregatedStatusItem{ClusterName: fmt.Sprintf("c%d", i), Status: ext})
			}

			other := template.DeepCopy()
			_, err := kind.AggregateStatus(template, items)
			require.NoError(t, err)
			for _, field := range fields {
				require.Equal(t, want[field], integer(status(template), field), field)
			}
			if upToDate {
				require.Equal(t, newest, integer(status(template), "observedGeneration"), "all have observed")
			} else {
				require.Zero(t, integer(status(template), "observedGeneration"), "one has not")
			}

			_, err = kind.AggregateStatus(other, rapid.Permutation(items).Draw(t, "order"))
			require.NoError(t, err)
			require.Equal(t, template, other, "the order of the clusters does not matter")

			before := template.DeepCopy()
			changed, err := kind.AggregateStatus(template, items)
			require.NoError(t, err)
			require.False(t, changed, "a second call finds nothing to change")
			require.Equal(t, before, template)
		}))
	}
}

func drawTemplate(t *rapid.T, kind string) (Kind, *unstructured.Unstructured) {
	raw := unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{
		"name": "x", "generation": rapid.Int64Range(1, 5).Draw(t, "generation"),
	}}}
	var version string
	_, err := fmt.Sscanf(kind, "%s %s", &version, &kind)
	require.NoError(t, err)
	raw.SetAPIVersion(version)
	raw.SetKind(kind)
	k, ok := For(raw.GroupVersionKind().GroupKind())
	require.True(t, ok)
	return k, &raw
}

// drawInMember makes a copy of the template with a status that a member's API
// server would have: no more pods of any sort than replicas, no more available
// than ready. It returns the generation of the template that is observed.
func drawInMember(t *rapid.T, template *unstructured.Unstructured, fields []string) (*unstructured.Unstructured, int64) {
	obj := template.DeepCopy()
	own := rapid.Int64Range(1, 5).Draw(t, "own generation")
	of := rapid.Int64Range(1, 5).Draw(t, "template generation")
	obj.SetGeneration(own)
	obj.SetAnnotations(map[string]string{"resourcetemplate.karmada.io/generation": fmt.Sprint(of)})
	seen := rapid.Int64Range(own-1, own).Draw(t, "observed generation")
	s := map[string]any{"observedGeneration": seen}
	most := rapid.Int64Range(0, 1<<27).Draw(t, "most")
	for _, field := range fields {
		limit := most
		if field == "availableReplicas" {
			limit = integer(s, "readyReplicas")
		}
		s[field] = limit
		if field != "replicas" {
			s[field] = rapid.Int64Range(0, limit).Draw(t, field)
		}
	}
	conditions := []any{}
	for _, kind := range []string{"Available", "Progressing", "ReplicaFailure", "DisruptionAllowed", "ScalingActive"} {
		if rapid.Bool().Draw(t, kind) {
			conditions = append(conditions, map[string]any{
				"type": kind, "status": rapid.SampledFrom([]string{"True", "False", "Unknown"}).Draw(t, "status"),
				"reason": rapid.SampledFrom([]string{"A", "B"}).Draw(t, "reason"), "message": rapid.StringN(0, 20, -1).Draw(t, "message"),
				"lastTransitionTime": rapid.SampledFrom([]string{"2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"}).Draw(t, "time"),
			})
		}
	}
	s["conditions"] = conditions
	obj.Object["status"] = s
	if seen < own {
		of = 0
	}
	return obj, of
}

// TestSumsAreAccepted feeds any numbers at all and holds the sums to what API
// servers demand of a workload's status.
func TestSumsAreAccepted(t *testing.T) {
	for _, header := range []string{"apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 ReplicaSet"} {
		fields := tallies()[header]
		t.Run(header, rapid.MakeCheck(func(t *rapid.T) {
			kind, template := drawTemplate(t, header)
			var items []workv1alpha2.AggregatedStatusItem
			for i := range rapid.IntRange(1, 4).Draw(t, "clusters") {
				s := map[string]any{}
				for _, field := range fields {
					s[field] = rapid.Int64().Draw(t, field)
				}
				raw, err := json.Marshal(s)
				require.NoError(t, err)
				items = append(items, workv1alpha2.AggregatedStatusItem{ClusterName: fmt.Sprintf("c%d", i), Status: &runtime.RawExtension{Raw: raw}})
			}
			_, err := kind.AggregateStatus(template, items)
			require.NoError(t, err)
			s := status(template)
			for _, field := range fields {
				require.GreaterOrEqual(t, integer(s, field), int64(0), field)
				require.LessOrEqual(t, integer(s, field), int64(1<<31-1), field)
			}
			for _, field := range []string{"readyReplicas", "updatedReplicas", "availableReplicas", "currentReplicas", "fullyLabeledReplicas"} {
				require.LessOrEqual(t, integer(s, field), integer(s, "replicas"), field)
			}
			require.LessOrEqual(t, integer(s, "availableReplicas"), integer(s, "readyReplicas"))
		}))
	}
}

func TestReviseThenRead(t *testing.T) {
	for _, header := range []string{"apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 ReplicaSet", "batch/v1 Job"} {
		t.Run(header, rapid.MakeCheck(func(t *rapid.T) {
			kind, obj := drawTemplate(t, header)
			obj.Object["spec"] = map[string]any{"completions": int64(9), "replicas": int64(2)}
			n := rapid.Int32Range(0, 1<<31-1).Draw(t, "replicas")
			require.NoError(t, kind.ReviseReplicas(obj, n))
			got, _, err := kind.Replicas(obj)
			require.NoError(t, err)
			require.Equal(t, n, got)
			require.Equal(t, int64(9), spec(obj)["completions"], "nothing else is touched")
		}))
	}
}
