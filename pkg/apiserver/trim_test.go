package apiserver

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestWorthTrimming(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		reason      string
		before, now heap
		left        uint64
		want        bool
	}{
		"idle with slack": {
			reason: "nothing happened and much could be given back",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 101 * mib, live: 100 * mib, resident: 200 * mib}, want: true,
		},
		"busy": {
			reason: "what is given back now is needed again at once",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 400 * mib, live: 100 * mib, resident: 200 * mib},
		},
		"idle and lean": {
			reason: "a collection would free next to nothing",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 101 * mib, live: 100 * mib, resident: 110 * mib},
		},
		"scattered": {
			reason: "the last trim left as much: it cannot be given back",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 101 * mib, live: 100 * mib, resident: 140 * mib}, left: 36 * mib,
		},
		"after a burst": {
			reason: "more than the last trim left",
			before: heap{allocated: 900 * mib}, now: heap{allocated: 901 * mib, live: 100 * mib, resident: 150 * mib}, left: 36 * mib, want: true,
		},
		"half went": {
			reason: "what is live has shrunk since the last trim, and the heap has not",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 101 * mib, live: 200 * mib, resident: 600 * mib}, left: 10 * mib, want: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, worthTrimming(test.before, test.now, test.left), test.reason)
		})
	}
	now := readHeap()
	require.NotZero(t, now.allocated)
	require.NotZero(t, now.resident, "the metrics exist in this version of Go")
}

func TestCollectsEarlyUntilReady(t *testing.T) {
	t.Setenv("GOGC", "") // set, it would be left alone
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	before := percent()
	defer debug.SetGCPercent(before)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan struct{})
		go func() { defer close(ended); TrimMemory(ctx, ready) }()
		synctest.Wait()
		require.Equal(t, startPercent, percent())
		close(ready)
		synctest.Wait()
		require.Equal(t, gcPercent, percent(), "whoever works pays no more for it")
		cancel()
		<-ended
	})
}
