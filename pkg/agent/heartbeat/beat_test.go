package heartbeat

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// beside runs something until the test is over.
func beside(t *testing.T, run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// pass lets time pass, which costs nothing in a bubble of fake time.
func pass(d time.Duration) { <-time.After(d) }

func TestLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLeases{}
		recovered := 0
		h := &Heart{Leases: f, Cluster: "eu", Holder: "me", Interval: 10 * time.Second, Clock: clock.RealClock{}, OnRecovered: func() { recovered++ }}
		beside(t, h.Run)
		synctest.Wait()
		require.Equal(t, "me", *f.object.Spec.HolderIdentity)
		require.EqualValues(t, 40, *f.object.Spec.LeaseDurationSeconds)
		pass(10 * time.Minute)
		synctest.Wait()
		reads, writes := f.counts()
		require.InDelta(t, 60, writes, 7, "one write per beat")
		require.Equal(t, 1, reads, "and no reads")
		require.WithinDuration(t, time.Now(), f.object.Spec.RenewTime.Time, 12*time.Second)

		f.edit(func(l *coordinationv1.Lease) { l.Labels = map[string]string{"x": "y"} })
		pass(12 * time.Second)
		synctest.Wait()
		require.WithinDuration(t, time.Now(), f.object.Spec.RenewTime.Time, 12*time.Second, "a conflict costs no beat")
		require.Zero(t, recovered)

		f.broken(errDown)
		pass(time.Minute)
		f.broken(nil)
		pass(12 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, recovered, "who calls a cluster unreachable is told that it is back")

		f.mu.Lock()
		f.exists = false
		f.mu.Unlock()
		pass(12 * time.Second)
		synctest.Wait()
		require.True(t, f.exists, "a lease that was deleted is made anew")
	})
}

func TestAFirstBeatThatFailsIsRepeatedSoonAndThenLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLeases{}
		f.broken(errDown)
		h := &Heart{Leases: f, Cluster: "eu", Holder: "me", Interval: 10 * time.Second, Clock: clock.RealClock{}}
		beside(t, h.Run)
		pass(600 * time.Millisecond)
		f.broken(nil)
		pass(time.Second)
		synctest.Wait()
		require.True(t, f.exists, "the cluster is waited for")

		f.broken(errDown)
		pass(10 * time.Minute)
		before, _ := f.counts()
		pass(10 * time.Minute)
		after, _ := f.counts()
		require.InDelta(t, 60, after-before, 7, "a federation that is down is not hammered")
	})
}

func TestStatusIsWrittenOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeClusters{exists: true, object: &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", ResourceVersion: "0"}}}
		seen := Observed{Conditions: map[string]metav1.Condition{}}
		w := NewWriter(WriterOptions{Clusters: f, Observe: func() Observed { return seen }})
		beside(t, w.Run)
		pass(time.Hour)
		reads, writes := f.counts()
		require.Zero(t, writes)
		require.InDelta(t, 60, reads, 15, "an idle agent looks once a minute")

		seen.Version = "v1.36.0"
		seen.Conditions["Ready"] = metav1.Condition{Status: "True", Reason: ReasonReady}
		w.Soon()
		pass(time.Second) // it may have looked just now, and waits a little then
		require.Equal(t, "v1.36.0", f.object.Status.KubernetesVersion)
		for range 10 {
			w.Soon()
			pass(time.Second)
		}
		_, writes = f.counts()
		require.Equal(t, 1, writes, "what does not differ is not written")

		f.edit(func(c *clusterv1alpha1.Cluster) { c.Status.Conditions[0].Status = "Unknown" })
		w.Reread()
		synctest.Wait()
		require.EqualValues(t, "True", f.object.Status.Conditions[0].Status, "what others wrote is put right")

		pass(time.Minute)
		f.edit(func(c *clusterv1alpha1.Cluster) {
			c.Spec.Region = "r"
			c.Status.RemedyActions = []string{"x"}
		})
		seen.NodeSummary = &clusterv1alpha1.NodeSummary{TotalNum: 3}
		w.Soon()
		pass(time.Second)
		synctest.Wait()
		require.EqualValues(t, 3, f.object.Status.NodeSummary.TotalNum, "a conflict is read and written again")
		require.Equal(t, []string{"x"}, f.object.Status.RemedyActions, "others' fields are kept")
		require.Equal(t, "r", f.object.Spec.Region)
	})
}

func TestNumbersAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeClusters{exists: true, object: &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", ResourceVersion: "0"}}}
		var n int32
		w := NewWriter(WriterOptions{Clusters: f, Observe: func() Observed {
			return Observed{NodeSummary: &clusterv1alpha1.NodeSummary{TotalNum: n}}
		}})
		beside(t, w.Run)
		synctest.Wait()
		_, before := f.counts()
		for range 600 {
			n++
			w.Later()
			pass(100 * time.Millisecond)
		}
		_, after := f.counts()
		require.InDelta(t, 6, after-before, 2, "numbers that move all the time are written once per beat")
		pass(11 * time.Second)
		synctest.Wait()
		require.Equal(t, n, f.object.Status.NodeSummary.TotalNum, "and the last one is not forgotten")
	})
}

func TestWriterPollsWhileSomethingIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeClusters{exists: true, object: &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}}}
		reads := 0
		w := NewWriter(WriterOptions{
			Clusters: f, Observe: func() Observed { return Observed{} }, PollOften: func() bool { return true },
			OnRead: func(*clusterv1alpha1.Cluster) { reads++ },
		})
		beside(t, w.Run)
		for range 60 {
			w.Later() // numbers that move must not put it off
			pass(time.Second)
		}
		require.Greater(t, reads, 15)
	})
}

func TestProbeTolerance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		p := &Probe{Tolerance: 30 * time.Second, Clock: clock.RealClock{}, OnChange: func() { changes++ }}
		bad := metav1.Condition{Status: "False", Reason: ReasonUnreachable, Message: "port 1"}
		good := metav1.Condition{Status: "True", Reason: ReasonReady}
		p.take(bad, "")
		require.EqualValues(t, "False", p.Ready().Status, "a member that never answered is not ready at once")
		p.take(good, "v1")
		require.EqualValues(t, "True", p.Ready().Status)
		require.Equal(t, "v1", p.Version())
		pass(10 * time.Second)
		p.take(bad, "")
		require.EqualValues(t, "True", p.Ready().Status, "an API server that restarts is no news")
		require.Equal(t, "v1", p.Version(), "what is not known leaves what was")
		pass(30 * time.Second)
		p.take(bad, "")
		require.EqualValues(t, "False", p.Ready().Status)
		before := changes
		bad.Message = "port 2"
		p.take(bad, "")
		require.Equal(t, before, changes, "another wording is no change")
	})
}
