package fold

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestOutlook(t *testing.T) {
	unhealthy := func(status string) item {
		return item{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnhealthy, Status: raw(status)}
	}
	pods := unhealthy(`{"generation":1,"observedGeneration":1}`)
	tests := map[string]struct {
		reason  string
		binding *workv1alpha2.ResourceBinding
		pending reports
		want    outlook
	}{
		"all healthy":          {"nothing better can come", on([]string{"ap", "eu"}, applied("ap")), reportsOf(applied("eu")), settled},
		"health unknown":       {"kinds nobody understands never become healthy", on([]string{"eu"}), reportsOf(item{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnknown}), settled},
		"one missing":          {"it will report", on([]string{"ap", "eu"}), reportsOf(applied("eu")), open},
		"one failed":           {"it tries again", on([]string{"eu"}), reportsOf(failed("eu", "x")), open},
		"one unhealthy":        {"pods are starting", on([]string{"eu"}), reportsOf(pods), open},
		"was unhealthy":        {"news counts, not what is stored", on([]string{"eu"}, pods), reportsOf(applied("eu")), settled},
		"was healthy":          {"as above", on([]string{"eu"}, applied("eu")), reportsOf(pods), open},
		"unhealthy, taken off": {"only the clusters of now count", on([]string{"ap"}, applied("ap"), pods), nil, settled},
		"nowhere":              {"there is nothing to wait for", on(nil), nil, settled},
		"unseen":               {"its controller will act", on([]string{"eu"}), reportsOf(unhealthy(`{"generation":1}`)), starting},
		"unseen edit":          {"what it shows is of the last generation", on([]string{"eu"}), reportsOf(unhealthy(`{"generation":3,"observedGeneration":2}`)), starting},
		"unseen, one missing":  {"that one may be away, which people should see", on([]string{"ap", "eu"}), reportsOf(unhealthy(`{"generation":1}`)), open},
		"unseen, one failed":   {"the failure is news", on([]string{"ap", "eu"}), reportsOf(failed("ap", "x"), unhealthy(`{"generation":1}`)), open},
		"unseen, one starting": {"how far the other has come is news", on([]string{"ap", "eu"}),
			reportsOf(item{ClusterName: "ap", Applied: true, Health: workv1alpha2.ResourceUnhealthy}, unhealthy(`{"generation":1}`)), open},
		"no generation": {"kinds that do not tell what was seen", on([]string{"eu"}), reportsOf(unhealthy(`{"phase":"Pending"}`)), open},
		"no object":     {"nor is this", on([]string{"eu"}), reportsOf(unhealthy(`[1]`)), open},
		"no status":     {"nor this", on([]string{"eu"}), reportsOf(item{ClusterName: "eu", Applied: true, Health: workv1alpha2.ResourceUnhealthy}), open},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, outlookOf(tt.binding, tt.pending), tt.reason)
		})
	}
}

// A decision that moves replicas is followed by one write, though every cluster says
// that it is fine as soon as it has done its part.
func TestMovedReplicas(t *testing.T) {
	ms := time.Millisecond
	for name, tt := range map[string]struct {
		reason string
		shares map[string]int32
		report map[string]time.Duration
		want   []time.Duration
	}{
		"Moved": {"both were waited for", map[string]int32{"eu": 2, "ap": 1, "us": 1},
			map[string]time.Duration{"eu": 100 * ms, "ap": 500 * ms}, []time.Duration{520 * ms}},
		"Silent": {"but not longer than a window", map[string]int32{"eu": 2, "ap": 1, "us": 1},
			map[string]time.Duration{"eu": 100 * ms}, []time.Duration{100*ms + window}},
		"Still": {"nobody waits for a cluster whose share stays", map[string]int32{"eu": 2, "ap": 2, "us": 1},
			map[string]time.Duration{"eu": 100 * ms}, []time.Duration{120 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv("eu", "ap", "us")
				defer e.stop()
				divide := func(shares map[string]int32) {
					e.mu.Lock()
					e.stored = e.stored.DeepCopy()
					for i := range e.stored.Spec.Clusters {
						e.stored.Spec.Clusters[i].Replicas = shares[e.stored.Spec.Clusters[i].Name]
					}
					e.mu.Unlock()
					e.seen()
				}
				divide(map[string]int32{"eu": 1, "ap": 2, "us": 1})
				e.report("eu", "ap", "us")
				pass(2 * window)
				e.seen()
				require.Len(t, e.writes, 1)

				e.started, e.writes = time.Now(), nil
				divide(tt.shares)
				for _, cluster := range []string{"eu", "ap"} {
					if at, ok := tt.report[cluster]; ok {
						pass(time.Until(e.started.Add(at)))
						e.reportOf(cluster, agentv1alpha1.WorkObservation{Applied: true, Health: "Healthy", Status: raw(`{"moved":1}`)})
					}
				}
				pass(10 * window)
				assert.Equal(t, tt.want, e.writes, tt.reason)
				assert.Empty(t, e.awaited)
			})
		})
	}
}
