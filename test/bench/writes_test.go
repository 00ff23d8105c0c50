package bench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
)

// What is written, as a ledger names it.
const (
	templateCreate = "deployments create"
	templateUpdate = "deployments update"
	bindingCreate  = "work.karmada.io/resourcebindings create"
	bindingUpdate  = "work.karmada.io/resourcebindings update"
	eventCreate    = "events create"
)

// ledger counts what is written to the embedded etcd, by kind and verb.
type ledger struct {
	mu     sync.Mutex
	counts map[string]int
	more   chan struct{}
}

// keepLedger watches every key.
func keepLedger(ctx context.Context, t *testing.T) *ledger {
	t.Helper()
	client, err := etcd.Dial([]string{"unix://" + shared.Path("federation", "etcd", "etcd.sock")}, "", "", "")
	require.NoError(t, err)
	l := &ledger{counts: map[string]int{}, more: make(chan struct{}, 1)}
	watch := client.Watch(ctx, "/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	created := <-watch
	require.NoError(t, created.Err())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for answer := range watch {
			l.mu.Lock()
			for _, e := range answer.Events {
				l.counts[kindOf(string(e.Kv.Key))+" "+verbOf(e)]++
			}
			l.mu.Unlock()
			select {
			case l.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = client.Close()
		<-done
	})
	return l
}

// kindOf is a key without names: /registry/[group/]resource/...
func kindOf(key string) string {
	parts := strings.Split(strings.TrimPrefix(key, "/registry/"), "/")
	if len(parts) > 1 && strings.Contains(parts[0], ".") {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func verbOf(e *clientv3.Event) string {
	switch {
	case e.IsCreate():
		return "create"
	case e.IsModify():
		return "update"
	}
	return "delete"
}

// until waits for as many writes of something, and returns what all were.
func (l *ledger) until(ctx context.Context, t *testing.T, what string, n int) map[string]int {
	t.Helper()
	for {
		l.mu.Lock()
		counts := maps.Clone(l.counts)
		l.mu.Unlock()
		if counts[what] >= n {
			return counts
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			t.Fatalf("%d of %d times %s: %v", counts[what], n, what, ctx.Err())
		}
	}
}

// since are the writes per template after an earlier state of the ledger.
func since(before, after map[string]int) map[string]float64 {
	out := map[string]float64{}
	for what, n := range after {
		if n > before[what] {
			out[what] = float64(n-before[what]) / templates
		}
	}
	return out
}

func total(writes map[string]float64) (sum float64) {
	for _, n := range writes {
		sum += n
	}
	return sum
}

// tell reports writes, the most frequent first.
func tell(t *testing.T, writes map[string]float64) {
	t.Helper()
	kinds := slices.SortedFunc(maps.Keys(writes), func(a, b string) int {
		return cmp.Or(cmp.Compare(writes[b], writes[a]), strings.Compare(a, b))
	})
	lines := make([]string, 0, len(kinds))
	for _, what := range kinds {
		lines = append(lines, fmt.Sprintf("%s %.2f", what, writes[what]))
	}
	report(t, "  etcd writes per template, events and heartbeats included: %.1f (%s)", total(writes), strings.Join(lines, ", "))
}
