package inprocess

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Quiet is how long nothing is written until the federation counts as settled. It is
// longer than the API server holds reports back to fold them.
const Quiet = 3 * time.Second

// Revision is how many writes etcd has seen.
func (f *Federation) Revision(t testing.TB) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := f.etcd.Get(ctx, "/", clientv3.WithLimit(1), clientv3.WithKeysOnly())
	require.NoError(t, err)
	return got.Header.Revision
}

// Settled is the revision once nothing has been written for Quiet.
func (f *Federation) Settled(t testing.TB) int64 {
	t.Helper()
	last, since := f.Revision(t), time.Now()
	require.Eventually(t, func() bool {
		if now := f.Revision(t); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > Quiet
	}, patience, poll, "writes go on")
	return last
}

// Writes are those after a revision, in their order, once the federation is settled:
// "PUT /registry/events/default/x". A test that counts them shows by it which is one
// too many.
func (f *Federation) Writes(t testing.TB, after int64) (writes []string) {
	t.Helper()
	until := f.Settled(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if until == after {
		return nil
	}
	for got := range f.etcd.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(after+1)) {
		require.NoError(t, got.Err())
		for _, e := range got.Events {
			writes = append(writes, fmt.Sprintf("%s %s", e.Type, e.Kv.Key))
		}
		if got.Header.Revision >= until {
			return writes
		}
	}
	require.FailNow(t, "etcd does not say what was written", "after %d up to %d: %v", after, until, ctx.Err())
	return nil
}
