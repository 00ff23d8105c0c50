package native

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// TestJobStatusIsAlwaysAccepted lets clusters come, go, run, fail, complete
// and suspend in any order, and holds every status that is written to the
// rules by which API servers validate the update from the one before.
func TestJobStatusIsAlwaysAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "batch/v1", "kind": "Job",
			"metadata": map[string]any{"name": "j", "generation": int64(1), "creationTimestamp": "2026-01-01T00:00:00Z"},
			"spec":     map[string]any{"parallelism": int64(3)},
		}}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			spec(template)["suspend"] = rapid.Bool().Draw(t, "suspend")
			var items []workv1alpha2.AggregatedStatusItem
			for i := range rapid.IntRange(0, 3).Draw(t, "clusters") {
				items = append(items, drawJobReport(t, fmt.Sprintf("c%d", i)))
			}
			old := template.DeepCopy()
			changed, err := job.AggregateStatus(template, items)
			require.NoError(t, err)
			if !changed {
				require.Equal(t, old, template)
				continue
			}
			requireAcceptedJob(t, status(old), status(template), spec(template)["suspend"].(bool))

			again := template.DeepCopy()
			changed, err = job.AggregateStatus(template, rapid.Permutation(items).Draw(t, "order"))
			require.NoError(t, err)
			require.False(t, changed, "the same reports in another order change nothing")
			require.Equal(t, again, template)
		}
	})
}

func drawJobReport(t *rapid.T, cluster string) workv1alpha2.AggregatedStatusItem {
	item := workv1alpha2.AggregatedStatusItem{ClusterName: cluster}
	if rapid.IntRange(0, 9).Draw(t, "silent") == 0 {
		return item
	}
	moment := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 5).Draw(t, "no time") == 0 {
			return ""
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		return start.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second).Format(time.RFC3339)
	})
	count := rapid.Int64Range(0, 5)
	s := jobStatus{
		StartTime: moment.Draw(t, "start"), CompletionTime: moment.Draw(t, "completion"),
		Active: count.Draw(t, "active"), Ready: count.Draw(t, "ready"), Terminating: count.Draw(t, "terminating"),
		Succeeded: count.Draw(t, "succeeded"), Failed: count.Draw(t, "failed"),
	}
	for _, rule := range jobConditions {
		if rapid.Bool().Draw(t, rule.kind) {
			s.Conditions = append(s.Conditions, condition{
				Type: rule.kind, Status: rapid.SampledFrom([]string{"True", "False", "Unknown"}).Draw(t, "status"),
				Reason: "R", LastTransitionTime: moment.Draw(t, "transition"),
			})
		}
	}
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	item.Status = &runtime.RawExtension{Raw: raw}
	return item
}

// requireAcceptedJob restates validateJobStatus and ValidateJobStatusUpdate of
// k8s.io/kubernetes 1.36, pkg/apis/batch/validation, for the fields we write.
func requireAcceptedJob(t require.TestingT, old, now map[string]any, suspended bool) {
	is := func(kind string) bool { return isTrue(now, kind) }
	was := func(kind string) bool { return isTrue(old, kind) }
	finished := is(jobComplete) || is(jobFailed)
	start, completion := text(now, "startTime"), text(now, "completionTime")

	for _, field := range []string{"active", "ready", "terminating", "succeeded", "failed"} {
		require.GreaterOrEqual(t, integer(now, field), int64(0), field)
	}
	require.LessOrEqual(t, integer(now, "ready"), integer(now, "active"))
	require.GreaterOrEqual(t, integer(now, "succeeded"), integer(old, "succeeded"))
	require.GreaterOrEqual(t, integer(now, "failed"), integer(old, "failed"))
	if finished {
		require.Zero(t, integer(now, "active"))
		require.Zero(t, integer(now, "terminating"))
		require.NotEmpty(t, start)
	}
	require.False(t, is(jobComplete) && (is(jobFailed) || is(jobFailureTarget)))
	require.False(t, is(jobSuccessCriteriaMet) && (is(jobFailed) || is(jobFailureTarget)))
	require.Equal(t, is(jobComplete), completion != "")
	require.Equal(t, is(jobComplete), is(jobSuccessCriteriaMet))
	if is(jobFailed) {
		require.True(t, is(jobFailureTarget))
	}
	for _, terminal := range []string{jobFailed, jobComplete, jobFailureTarget, jobSuccessCriteriaMet} {
		if was(terminal) {
			require.True(t, is(terminal), "%s is final", terminal)
		}
	}
	if start != "" && completion != "" {
		require.GreaterOrEqual(t, completion, start)
	}
	if before := text(old, "startTime"); before != "" && !suspended {
		require.Equal(t, before, start, "the start stays")
	}
}

func TestDivideCompletionsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		completions := rapid.Int32Range(0, 1<<30).Draw(t, "completions")
		var clusters []workv1alpha2.TargetCluster
		var parallelism int64
		for i := range rapid.IntRange(1, 20).Draw(t, "clusters") {
			c := workv1alpha2.TargetCluster{Name: fmt.Sprintf("c%02d", i), Replicas: rapid.Int32Range(1, 1000).Draw(t, "replicas")}
			clusters, parallelism = append(clusters, c), parallelism+int64(c.Replicas)
		}
		obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
			"parallelism": parallelism, "completions": int64(completions),
		}}}
		parts, divided, err := DivideCompletions(obj, clusters)
		require.NoError(t, err)
		require.True(t, divided)
		var sum int64
		for _, c := range clusters {
			part := int64(parts[c.Name])
			sum += part
			exact := float64(completions) * float64(c.Replicas) / float64(parallelism)
			require.InDelta(t, exact, float64(part), 1, "within one of the exact part")
		}
		require.Equal(t, int64(completions), sum, "the parts add up")

		other, _, err := DivideCompletions(obj, rapid.Permutation(clusters).Draw(t, "order"))
		require.NoError(t, err)
		require.Equal(t, parts, other, "the order of the clusters does not matter")
	})
}
