package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is an API server that keeps Events by name.
type store struct {
	mu     sync.Mutex
	events map[string]*corev1.Event
	order  []string
	calls  int
	fail   func(call int) error
}

func (s *store) create(_ context.Context, e *corev1.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.fail != nil {
		if err := s.fail(s.calls); err != nil {
			return err
		}
	}
	key := e.Namespace + "/" + e.Name
	if _, ok := s.events[key]; ok {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "events"}, e.Name)
	}
	if s.events == nil {
		s.events = map[string]*corev1.Event{}
	}
	s.events[key] = e
	s.order = append(s.order, e.Message)
	return nil
}

func about(name string) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment",
		Namespace: "default", Name: name, UID: types.UID("uid-" + name)}
}

// stop runs a Writer until everything recorded so far is written.
func stop(t *testing.T, w *Writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, w.Start(ctx))
}

func TestEachThingIsSaidOnce(t *testing.T) {
	cases := map[string]struct {
		reason string
		record func(w *Writer)
		want   []string
	}{
		"Repeated": {
			reason: "a repetition is counted, not written",
			record: func(w *Writer) {
				for range 5 {
					w.For("c").Event(t.Context(), about("a"), "Normal", "R", "same")
				}
			},
			want: []string{"same"},
		},
		"Different": {
			reason: "another note, object, reason, type or component is another event",
			record: func(w *Writer) {
				w.For("c").Event(t.Context(), about("a"), "Normal", "R", "1")
				w.For("c").Event(t.Context(), about("a"), "Normal", "R", "2")
				w.For("c").Event(t.Context(), about("b"), "Normal", "R", "1")
				w.For("c").Event(t.Context(), about("a"), "Normal", "S", "1")
				w.For("c").Event(t.Context(), about("a"), "Warning", "R", "1")
				w.For("d").Event(t.Context(), about("a"), "Normal", "R", "1")
			},
			want: []string{"1", "2", "1", "1", "1", "1"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			w := New(s.create, Options{})
			tc.record(w)
			stop(t, w)
			assert.Equal(t, tc.want, s.order, tc.reason)
		})
	}
}

func TestRestartWritesNothingAgain(t *testing.T) {
	s := &store{}
	for range 2 {
		w := New(s.create, Options{})
		w.For("c").Event(t.Context(), about("a"), "Normal", "R", "note")
		stop(t, w)
	}
	assert.Len(t, s.events, 1, "the second process must run into the first one's Event")
	assert.Equal(t, 2, s.calls)
}

func TestSayableAgainAfterTheEventExpired(t *testing.T) {
	s := &store{}
	w := New(s.create, Options{RememberFor: time.Hour})
	now := time.Now()
	w.now = func() time.Time { return now }
	w.For("c").Event(t.Context(), about("a"), "Normal", "R", "note")
	now = now.Add(time.Hour)
	w.For("c").Event(t.Context(), about("a"), "Normal", "R", "note")
	stop(t, w)
	assert.Equal(t, 2, s.calls)
}

func TestFullQueueDropsTheOldest(t *testing.T) {
	s := &store{}
	w := New(s.create, Options{QueueSize: 2})
	before := testutil.ToFloat64(total.WithLabelValues("dropper", resultDropped))
	for i := range 5 {
		w.For("dropper").Event(t.Context(), about("a"), "Normal", "R", fmt.Sprint(i))
	}
	stop(t, w)
	assert.Equal(t, []string{"3", "4"}, s.order)
	assert.InDelta(t, 3, testutil.ToFloat64(total.WithLabelValues("dropper", resultDropped))-before, 0)

	w.For("dropper").Event(t.Context(), about("a"), "Normal", "R", "0")
	stop(t, w)
	assert.Equal(t, []string{"3", "4", "0"}, s.order, "a dropped event was never said")
}

func TestFailures(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "default")
	cases := map[string]struct {
		reason string
		fail   func(call int) error
		calls  int
		want   []string
	}{
		"Transient": {
			reason: "a server that is away for a moment costs no event",
			fail: func(call int) error {
				if call < 3 {
					return errors.New("connection refused")
				}
				return nil
			},
			calls: 3, want: []string{"note"},
		},
		"Final":     {reason: "no retry against a namespace that is gone", fail: func(int) error { return gone }, calls: 1},
		"Exhausted": {reason: "retries end", fail: func(int) error { return errors.New("no") }, calls: 4},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &store{fail: tc.fail}
			w := New(s.create, Options{RetryDelay: time.Microsecond})
			w.For("c").Event(t.Context(), about("a"), "Normal", "R", "note")
			stop(t, w)
			assert.Equal(t, tc.calls, s.calls, tc.reason)
			assert.Equal(t, tc.want, s.order, tc.reason)
		})
	}
}

func TestRunsUntilTheContextEnds(t *testing.T) {
	s := &store{}
	w := New(s.create, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Start(ctx) }()
	for i := range 100 {
		w.For("c").Event(ctx, about("a"), "Normal", "R", fmt.Sprint(i))
	}
	cancel()
	require.NoError(t, <-done)
	assert.Len(t, s.order, 100, "what was recorded before the end is written")
}

func TestFlushIsBounded(t *testing.T) {
	w := New(func(ctx context.Context, _ *corev1.Event) error {
		<-ctx.Done()
		return ctx.Err()
	}, Options{FlushTimeout: 10 * time.Millisecond})
	w.For("c").Event(t.Context(), about("a"), "Normal", "R", "note")
	stop(t, w) // returns at all
}

func TestRenderedEventsAreValid(t *testing.T) {
	w := New(nil, Options{})
	rapid.Check(t, func(t *rapid.T) {
		r := record{
			about:     corev1.ObjectReference{Name: rapid.StringN(0, 300, 300).Draw(t, "name"), Namespace: rapid.SampledFrom([]string{"", "x"}).Draw(t, "ns")},
			component: "c", eventType: "Normal", reason: "R",
			note: shortened(rapid.StringN(0, 2000, 4000).Draw(t, "note")),
		}
		e := w.render(r)
		if problems := validation.IsDNS1123Subdomain(e.Name); len(problems) > 0 {
			t.Fatalf("name %q: %v", e.Name, problems)
		}
		if len(e.Message) > maxNote || strings.ToValidUTF8(e.Message, "") != e.Message {
			t.Fatalf("note of %d bytes, or cut inside a character", len(e.Message))
		}
		if e.Namespace == "" {
			t.Fatal("an Event needs a namespace")
		}
	})
}
