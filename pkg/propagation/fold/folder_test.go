package fold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"pgregory.net/rapid"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

const (
	window = time.Second
	// grain is more than a write takes and less than any delay tested.
	grain = 5 * time.Millisecond
)

var key = projection.Key{Namespace: "ns", Name: "b"}

// env is a Folder over one binding in memory. Time is that of a synctest bubble,
// which also finds goroutines that stay behind.
type env struct {
	*Folder
	stop func()

	mu      sync.Mutex
	stored  *workv1alpha2.ResourceBinding
	cached  *workv1alpha2.ResourceBinding
	started time.Time
	writes  []time.Duration // when, since the start
	calls   int
	fail    func() error
	slow    time.Duration
	// namespaces are the Works of namespaces that were reported.
	namespaces []string
	// caller is a cluster that has a stub, and stubs are what was reported of it.
	caller string
	stubs  []workv1alpha2.AggregatedStatusItem
}

// quiet is a context whose logger says nothing: these tests make writes fail.
func quiet() context.Context { return klog.NewContext(context.Background(), logr.Discard()) }

func newEnv(clusters ...string) *env {
	e := &env{stored: on(clusters), started: time.Now(), fail: func() error { return nil }}
	e.cached = e.stored.DeepCopy()
	e.Folder = New(Options{
		Lookup: func(cluster, work string) (projection.Origin, bool) {
			e.mu.Lock()
			defer e.mu.Unlock()
			placed := slices.Contains(targetsOf(&e.stored.Spec), cluster)
			switch {
			case work == "namespace":
				return projection.Origin{UID: "uid"}, true
			case work == "work" && cluster == e.caller:
				return projection.Origin{Binding: key, UID: types.UID("uid-" + cluster), Stub: true}, true
			case work != "work" || !placed:
				return projection.Origin{}, false
			}
			return projection.Origin{Binding: key, UID: types.UID("uid-" + cluster)}, true
		},
		Binding: func(k projection.Key) (workv1alpha2.Binding, bool) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.cached, k == key && e.cached != nil
		},
		Failures:  func(projection.Key) map[string]string { return nil },
		Namespace: func(work string, _ workv1alpha2.AggregatedStatusItem) { e.namespaces = append(e.namespaces, work) },
		Stub: func(_ context.Context, of projection.Key, work string, item workv1alpha2.AggregatedStatusItem) bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			if of != key || work != "work" || slices.Contains(targetsOf(&e.stored.Spec), item.ClusterName) {
				return false
			}
			e.stubs = append(e.stubs, item)
			return true
		},
		UpdateStatus: e.update,
		StoredWork: func(_ context.Context, _ string, o agentv1alpha1.WorkObservation) (bool, error) {
			switch o.Name {
			case "mine":
				return true, nil
			case "broken":
				return false, errors.New("no space left")
			case "invalid":
				return false, apierrors.NewInvalid(workv1alpha2.SchemeGroupVersion.WithKind("Work").GroupKind(), o.Name, nil)
			}
			return false, nil
		},
		Window:  window,
		Workers: 2,
	})
	ctx, cancel := context.WithCancel(quiet())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	e.stop = func() { cancel(); <-done }
	return e
}

// update is the store: mutations see what is stored, not what is cached.
func (e *env) update(ctx context.Context, k projection.Key, mutate func(workv1alpha2.Binding) bool) error {
	select {
	case <-time.After(e.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if err := e.fail(); err != nil {
		return err
	}
	if e.stored == nil || k != key {
		return apierrors.NewNotFound(workv1alpha2.Resource("resourcebindings"), k.Name)
	}
	b := e.stored.DeepCopy()
	if mutate(b) {
		e.writes = append(e.writes, time.Since(e.started).Round(grain))
		e.stored = b
	}
	return nil
}

// seen brings what is stored into the cache, as a watch does.
func (e *env) seen() {
	e.mu.Lock()
	e.cached = e.stored.DeepCopy()
	b := e.cached
	e.mu.Unlock()
	e.BindingChanged(b)
}

func (e *env) place(clusters ...string) {
	e.mu.Lock()
	e.stored = e.stored.DeepCopy()
	e.stored.Spec = on(clusters).Spec
	e.mu.Unlock()
	e.seen()
}

// pass lets time go by, and everything that is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (e *env) report(clusters ...string) {
	for _, c := range clusters {
		e.reportOf(c, agentv1alpha1.WorkObservation{Applied: true, Health: "Healthy"})
	}
}

func (e *env) reportOf(cluster string, o agentv1alpha1.WorkObservation) {
	o.Name, o.UID = "work", types.UID("uid-"+cluster)
	if rejected, err := e.Report(quiet(), cluster, []agentv1alpha1.WorkObservation{o}); err != nil || len(rejected) > 0 {
		panic(fmt.Sprint(rejected, err))
	}
}

func (e *env) items() []workv1alpha2.AggregatedStatusItem {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stored.Status.AggregatedStatus
}

func TestWhenItIsWritten(t *testing.T) {
	const unhealthy = "Unhealthy"
	type step struct {
		after   time.Duration
		cluster string
		health  string
		fails   bool
	}
	ms := time.Millisecond
	every := func(period time.Duration, n int) (out []step) {
		for range n {
			out = append(out, step{after: period, cluster: "eu", health: unhealthy})
		}
		return out
	}
	tests := map[string]struct {
		reason   string
		clusters []string
		same     bool // every report is like the first
		steps    []step
		want     []time.Duration
	}{
		"everybody at once": {
			reason:   "a rollout that succeeds costs one write, a moment after the last report",
			clusters: []string{"eu", "ap", "us"},
			steps:    []step{{0, "eu", "Healthy", false}, {5 * ms, "ap", "Healthy", false}, {10 * ms, "us", "Healthy", false}},
			want:     []time.Duration{35 * ms},
		},
		"somebody is missing": {
			reason:   "the window is left for the others",
			clusters: []string{"eu", "ap"},
			steps:    []step{{0, "eu", "Healthy", false}},
			want:     []time.Duration{window},
		},
		"the last one settles it": {
			reason:   "nobody waits for the window when nothing better can come",
			clusters: []string{"eu", "ap"},
			steps:    []step{{0, "eu", "Healthy", false}, {300 * ms, "ap", "Healthy", false}},
			want:     []time.Duration{320 * ms},
		},
		"starting up": {
			reason:   "unhealthy at first, healthy within the window: one write",
			clusters: []string{"eu"},
			steps:    []step{{0, "eu", unhealthy, false}, {700 * ms, "eu", "Healthy", false}},
			want:     []time.Duration{720 * ms},
		},
		"failing": {
			reason:   "a failure is written when the window is over",
			clusters: []string{"eu"},
			steps:    []step{{0, "eu", "Unknown", true}},
			want:     []time.Duration{window},
		},
		"news puts it off": {
			reason:   "the window begins again with each report",
			clusters: []string{"eu"},
			steps:    []step{{0, "eu", unhealthy, false}, {900 * ms, "eu", unhealthy, true}},
			want:     []time.Duration{1900 * ms},
		},
		"but not for ever": {
			reason:   "after five windows people see where it stands",
			clusters: []string{"eu"},
			steps:    append([]step{{0, "eu", unhealthy, true}}, every(490*ms, 19)...),
			want:     []time.Duration{5 * window, 10310 * ms},
		},
		"settled and then not": {
			reason:   "what turns bad in the last moment gets its window",
			clusters: []string{"eu"},
			steps:    []step{{0, "eu", "Healthy", false}, {10 * ms, "eu", unhealthy, false}},
			want:     []time.Duration{window + 10*ms},
		},
		"said twice": {
			reason:   "what is stored already is not written again",
			clusters: []string{"eu"},
			same:     true,
			steps:    []step{{0, "eu", "Healthy", false}, {500 * ms, "eu", "Healthy", false}},
			want:     []time.Duration{20 * ms},
		},
		"flapping within the window": {
			reason:   "only the last word is written",
			clusters: []string{"eu"},
			steps:    []step{{0, "eu", unhealthy, false}, {100 * ms, "eu", unhealthy, true}, {100 * ms, "eu", unhealthy, false}},
			want:     []time.Duration{window + 200*ms},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(tt.clusters...)
				defer e.stop()
				for i, s := range tt.steps {
					if tt.same {
						i = 0
					}
					pass(s.after)
					e.reportOf(s.cluster, agentv1alpha1.WorkObservation{Applied: !s.fails, Health: s.health, Status: raw(strconv.Itoa(i)), Message: "no"})
				}
				pass(10 * window)
				assert.Equal(t, tt.want, e.writes, tt.reason)
				last := tt.steps[len(tt.steps)-1]
				at := slices.IndexFunc(e.items(), func(i item) bool { return i.ClusterName == last.cluster })
				require.GreaterOrEqual(t, at, 0)
				assert.Equal(t, workv1alpha2.ResourceHealth(last.health), e.items()[at].Health, "the newest report is what is stored")
			})
		})
	}
}

func TestRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv("eu")
		defer e.stop()
		tests := map[string]struct {
			reason      string
			observation agentv1alpha1.WorkObservation
			want        string
			err         bool
		}{
			"good":          {"the Work is there", agentv1alpha1.WorkObservation{Name: "work", UID: "uid-eu", Applied: true}, "", false},
			"another UID":   {"it is about a Work of before", agentv1alpha1.WorkObservation{Name: "work", UID: "old"}, "Stale", false},
			"no UID":        {"nobody knows what it is about", agentv1alpha1.WorkObservation{Name: "work"}, "Stale", false},
			"nothing there": {"neither computed nor stored", agentv1alpha1.WorkObservation{Name: "gone", UID: "x"}, "NotFound", false},
			"stored":        {"it goes to the stored Work", agentv1alpha1.WorkObservation{Name: "mine", UID: "x"}, "", false},
			"refused":       {"validation of the stored Work will refuse it again", agentv1alpha1.WorkObservation{Name: "invalid", UID: "x"}, "Invalid", false},
			"cannot be now": {"the agent has to make it again", agentv1alpha1.WorkObservation{Name: "broken", UID: "x"}, "", true},
			"namespace":     {"it has nowhere to go, and that is fine", agentv1alpha1.WorkObservation{Name: "namespace", UID: "uid"}, "", false},
			"health":        {"a word nobody knows could not be stored", agentv1alpha1.WorkObservation{Name: "work", UID: "uid-eu", Health: "Fine"}, "Invalid", false},
			"no name":       {"a Work has a name", agentv1alpha1.WorkObservation{UID: "uid-eu"}, "Invalid", false},
			"no JSON":       {"it could not be stored", agentv1alpha1.WorkObservation{Name: "work", UID: "uid-eu", Status: raw("{")}, "Invalid", false},
		}
		for name, tt := range tests {
			rejected, err := e.Report(quiet(), "eu", []agentv1alpha1.WorkObservation{tt.observation})
			assert.Equal(t, tt.err, err != nil, "%s: %s: %v", name, tt.reason, err)
			got := ""
			for _, r := range rejected {
				assert.Equal(t, tt.observation.Name, r.Name)
				got += r.Reason
			}
			assert.Equal(t, tt.want, got, "%s: %s", name, tt.reason)
		}
		rejected, err := e.Report(quiet(), "eu", []agentv1alpha1.WorkObservation{
			{Name: "broken"}, {Name: "gone"}, {Name: "work", UID: "uid-eu", Applied: true, Health: "Healthy"},
		})
		require.ErrorContains(t, err, "broken")
		require.Len(t, rejected, 1)
		pass(window)
		require.Len(t, e.items(), 1, "the others of the batch are taken all the same")
	})
}

func TestMessages(t *testing.T) {
	long := strings.Repeat("é", maxMessage)
	for name, tt := range map[string]struct {
		o    agentv1alpha1.WorkObservation
		want string
	}{
		"applied":       {agentv1alpha1.WorkObservation{Applied: true, Message: "left over"}, ""},
		"message":       {agentv1alpha1.WorkObservation{Reason: "AppliedFailed", Message: "why"}, "why"},
		"only a reason": {agentv1alpha1.WorkObservation{Reason: "AppliedFailed"}, "AppliedFailed"},
		"long":          {agentv1alpha1.WorkObservation{Message: long}, long[:maxMessage-4] + "..."},
	} {
		assert.Equal(t, tt.want, Message(tt.o), name)
	}
}

func TestFailedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv("eu", "ap")
		defer e.stop()
		e.slow = 200 * time.Millisecond
		failures := 6
		e.fail = func() error {
			if failures--; failures >= 0 {
				return errors.New("etcd is not there")
			}
			return nil
		}
		e.report("eu", "ap")
		pass(100 * time.Millisecond)
		e.reportOf("ap", agentv1alpha1.WorkObservation{Message: "newer"}) // in the middle of the first write
		pass(2 * window)
		require.Greater(t, e.calls, 1, "tried again")
		pass(30 * time.Second)
		require.Len(t, e.writes, 1)
		items := e.items()
		require.Len(t, items, 2)
		assert.Equal(t, "newer", items[0].AppliedMessage, "what came after the failure is newer than what was given back")
		assert.True(t, items[1].Applied, "what was given back is not lost")
	})
}

func TestFollowsItsClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv("eu", "ap")
		defer e.stop()
		e.report("eu", "ap")
		pass(window)
		require.Len(t, e.items(), 2)

		e.place("eu")
		pass(window)
		require.Len(t, e.items(), 1, "without a report")

		writes := len(e.writes)
		e.seen()
		pass(10 * window)
		require.Len(t, e.writes, writes, "its own write does not wake it")
	})
}

func TestBindingThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv("eu", "ap")
		defer e.stop()
		e.report("eu")
		e.mu.Lock()
		e.stored, e.cached = nil, nil
		e.mu.Unlock()
		e.BindingDeleted(key)
		pass(10 * window)
		assert.LessOrEqual(t, e.calls, 1, "it is not tried for ever")
		assert.Empty(t, e.pending)
		assert.Empty(t, e.due)

		e.Add(key, applied("eu")) // a report that crossed the deletion
		pass(10 * window)
		assert.Empty(t, e.pending)
		assert.Empty(t, e.due)
		assert.Empty(t, e.writes)
	})
}

// A stop during a write loses nothing that agents do not report again, and
// leaves nothing running.
func TestStopsInAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv("eu")
		e.slow = time.Hour
		e.report("eu")
		pass(window)
		before := time.Now()
		e.stop()
		assert.Less(t, time.Since(before), time.Second)
		assert.Len(t, e.pending, 1, "given back")
	})
}

// Whatever the order of reports, placements and failed writes, in the end every
// cluster's newest report is stored, and it took a bounded number of writes.
func TestNewestReportWins(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		clusters := []string{"a", "b", "c"}
		failing := rapid.SliceOfN(rapid.Bool(), 0, 12).Draw(rt, "failing")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]int {
			return [3]int{rapid.IntRange(0, 3).Draw(t, "what"), rapid.IntRange(0, 7).Draw(t, "which"), rapid.IntRange(0, 2500).Draw(t, "ms")}
		}), 1, 30).Draw(rt, "steps")
		slow := time.Duration(rapid.IntRange(0, 1500).Draw(rt, "slow")) * time.Millisecond

		newest := map[string]string{}
		var items []item
		var writes, changes int
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(clusters...)
			defer e.stop()
			e.slow = slow
			e.fail = func() error {
				if len(failing) == 0 {
					return nil
				}
				fails := failing[0]
				failing = failing[1:]
				if fails {
					return errors.New("conflict")
				}
				return nil
			}
			for i, s := range steps {
				pass(time.Duration(s[2]) * time.Millisecond)
				switch s[0] {
				case 0: // a new placement; the cache may have seen older states before
					var placed []string
					for bit, c := range clusters {
						if s[1]&(1<<bit) != 0 {
							placed = append(placed, c)
						}
					}
					e.place(placed...)
					maps.DeleteFunc(newest, func(c, _ string) bool { return !slices.Contains(placed, c) })
					changes++
				case 1:
					e.seen()
				default:
					c := clusters[s[1]%len(clusters)]
					health := []string{"Healthy", "Unhealthy"}[s[1]%2]
					status := fmt.Sprintf(`{"n":%d}`, i)
					if _, placed := e.opts.Lookup(c, "work"); placed {
						e.reportOf(c, agentv1alpha1.WorkObservation{Applied: s[1] != 5, Health: health, Status: raw(status)})
						newest[c] = status
						changes++
					}
				}
			}
			pass(10 * time.Minute)
			items, writes = e.items(), len(e.writes)
			assert.Empty(t, e.pending)
		})
		got := map[string]string{}
		for _, i := range items {
			if _, asked := newest[i.ClusterName]; asked {
				got[i.ClusterName] = string(i.Status.Raw)
			}
		}
		require.Equal(rt, newest, got)
		require.LessOrEqual(rt, writes, changes+1, "one write per change at most, and one that says who is waited for")
	})
}
