package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
)

// server remembers reports and may refuse them.
type server struct {
	start   time.Time
	fail    error
	took    time.Duration
	batches []batch
	state   map[string]string
	onPost  func()
	unknown map[string]bool // works that this server does not have
	limit   int             // bytes of a report that this server takes; 0: all
	largest int             // bytes of a report
	bare    map[string]bool // works that came without a status
}

type batch struct {
	at    time.Duration
	names []string
}

func (s *server) post(_ context.Context, works []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	b := batch{at: time.Since(s.start)}
	if s.onPost != nil {
		s.onPost()
	}
	pass(s.took)
	if s.fail != nil {
		return nil, s.fail
	}
	raw, err := json.Marshal(works)
	if err != nil {
		return nil, err
	}
	s.largest = max(s.largest, len(raw))
	if s.limit > 0 && len(raw) > s.limit {
		return nil, apierrors.NewRequestEntityTooLargeError("too large")
	}
	var rejected []agentv1alpha1.RejectedObservation
	for _, w := range works {
		b.names = append(b.names, w.Name)
		if s.unknown[w.Name] {
			rejected = append(rejected, agentv1alpha1.RejectedObservation{Name: w.Name, Reason: agentv1alpha1.RejectedNotFound})
			continue
		}
		s.state[w.Name] = w.Message
		if w.Status == nil {
			s.bare[w.Name] = true
		}
	}
	s.batches = append(s.batches, b)
	return rejected, nil
}

// pass lets time pass, which costs nothing in a bubble of fake time.
func pass(d time.Duration) { <-time.After(d) }

func observation(name, message string) agentv1alpha1.WorkObservation {
	return agentv1alpha1.WorkObservation{Name: name, Message: message}
}

// run starts a Reporter in a bubble of fake time.
func run(t *testing.T, opts Options, f func(*server, *Reporter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{start: time.Now(), state: map[string]string{}, bare: map[string]bool{}}
		opts.Post = s.post
		r := New(opts)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		synctest.Wait()
		f(s, r)
		cancel()
		<-done
	})
}

func TestFirstChangeGoesAtOnce(t *testing.T) {
	run(t, Options{Repeat: 24 * time.Hour}, func(s *server, r *Reporter) {
		r.Set(observation("a", "1"))
		synctest.Wait()
		require.Equal(t, []batch{{0, []string{"a"}}}, s.batches)
		r.Set(observation("b", "1"))
		r.Set(observation("c", "1"))
		r.Set(observation("c", "2"))
		synctest.Wait()
		require.Len(t, s.batches, 1, "what follows is gathered")
		pass(250 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, batch{250 * time.Millisecond, []string{"b", "c"}}, s.batches[1])
		require.Equal(t, "2", s.state["c"], "the newest state wins")
		r.Set(observation("c", "2"))
		pass(time.Hour)
		require.Len(t, s.batches, 2, "what was taken is not sent again")
	})
}

func TestBatches(t *testing.T) {
	run(t, Options{MaxBatch: 10}, func(s *server, r *Reporter) {
		r.Set(observation("first", ""))
		synctest.Wait()
		for i := range 25 {
			r.Set(observation(fmt.Sprintf("w%02d", i), ""))
		}
		pass(250 * time.Millisecond)
		synctest.Wait()
		require.Len(t, s.batches, 4)
		require.Len(t, s.batches[3].names, 5)
	})
}

// large is an observation whose status has about that many bytes.
func large(name string, bytes int) agentv1alpha1.WorkObservation {
	o := observation(name, "")
	o.Status = &runtime.RawExtension{Raw: []byte(`{"a":"` + strings.Repeat("x", bytes) + `"}`)}
	return o
}

func TestReportsAreBoundedInBytes(t *testing.T) {
	run(t, Options{MaxBytes: 10_000}, func(s *server, r *Reporter) {
		r.Set(observation("first", ""))
		synctest.Wait()
		for i := range 25 {
			r.Set(large(fmt.Sprintf("w%02d", i), 3000))
		}
		r.Set(large("whale", 20_000))
		pass(250 * time.Millisecond)
		synctest.Wait()
		require.Len(t, s.state, 27, "all of it at once, in pieces")
		require.LessOrEqual(t, s.largest, 10_100)
		require.True(t, s.bare["whale"], "the rest of what is known of it gets through")
		require.Contains(t, s.state["whale"], "too large")
		require.False(t, s.bare["w00"])
	})
}

func TestReportsThatAreTooLargeAreHalved(t *testing.T) {
	run(t, Options{}, func(s *server, r *Reporter) {
		s.limit = 10_000
		for i := range 25 {
			r.Set(large(fmt.Sprintf("w%02d", i), 3000))
		}
		r.Set(large("whale", 20_000))
		pass(10 * time.Second)
		synctest.Wait()
		require.Len(t, s.state, 26)
		require.True(t, s.bare["whale"])
		require.Contains(t, s.state["whale"], "too large")
		require.False(t, s.bare["w24"])
	})
}

func TestFailedReportIsRetriedWithTheNewest(t *testing.T) {
	run(t, Options{MaxBackoff: time.Second}, func(s *server, r *Reporter) {
		s.fail = errors.New("down")
		r.Set(observation("a", "1"))
		pass(time.Minute)
		r.Set(observation("a", "2"))
		s.fail = nil
		pass(2 * time.Second)
		synctest.Wait()
		require.Equal(t, map[string]string{"a": "2"}, s.state)
		require.Len(t, s.batches, 1)
	})
}

func TestResetEndsTheWaitAfterAFailure(t *testing.T) {
	run(t, Options{MaxBackoff: time.Hour}, func(s *server, r *Reporter) {
		s.fail = errors.New("down")
		r.Set(observation("a", "1"))
		pass(30 * time.Minute)
		s.fail = nil
		r.Reset()
		pass(time.Second)
		require.Equal(t, map[string]string{"a": "1"}, s.state)
	})
}

func TestWhatWasNotTakenIsSentAgainOnceTheWorkIsListed(t *testing.T) {
	run(t, Options{Recheck: time.Hour}, func(s *server, r *Reporter) {
		s.unknown = map[string]bool{"a": true}
		r.Set(observation("a", "1"))
		r.Set(observation("b", "1"))
		pass(time.Minute)
		require.Equal(t, map[string]string{"b": "1"}, s.state)
		sent := len(s.batches)
		r.Listed("b")
		pass(time.Minute)
		require.Len(t, s.batches, sent, "what was taken is not sent again")

		s.unknown = nil
		r.Listed("a")
		pass(time.Second)
		require.Equal(t, map[string]string{"a": "1", "b": "1"}, s.state)
	})
}

func TestAWorkListedWhileItsReportIsRefused(t *testing.T) {
	run(t, Options{Recheck: time.Hour}, func(s *server, r *Reporter) {
		s.took, s.unknown = 100*time.Millisecond, map[string]bool{"a": true}
		r.Set(observation("a", "1"))
		pass(50 * time.Millisecond)
		r.Listed("a")
		pass(75 * time.Millisecond)
		s.unknown = nil
		pass(time.Second)
		require.Equal(t, map[string]string{"a": "1"}, s.state)
	})
}

func TestAServerThatIsBehindIsAskedAgain(t *testing.T) {
	run(t, Options{Repeat: 24 * time.Hour}, func(s *server, r *Reporter) {
		s.unknown = map[string]bool{"a": true, "never": true}
		r.Set(observation("a", "1"))
		r.Set(observation("never", "1"))
		pass(7 * time.Second)
		delete(s.unknown, "a")
		pass(time.Hour)
		require.Equal(t, map[string]string{"a": "1"}, s.state)
		require.LessOrEqual(t, len(s.batches), 70, "about once a minute")
		sent := len(s.batches)
		pass(2 * time.Minute)
		require.Greater(t, len(s.batches), sent, "as long as the work is known")
		r.Forget("never")
		pass(time.Minute)
		sent = len(s.batches)
		pass(time.Hour)
		require.Len(t, s.batches, sent)
	})
}

func TestResetSendsEverythingAgain(t *testing.T) {
	run(t, Options{}, func(s *server, r *Reporter) {
		r.Set(observation("a", "1"))
		r.Set(observation("b", "1"))
		pass(time.Second)
		r.Forget("b")
		s.state = map[string]string{}
		r.Reset()
		pass(time.Second)
		synctest.Wait()
		require.Equal(t, map[string]string{"a": "1"}, s.state, "but not what was forgotten")
	})
}

func TestEverythingIsRepeatedNowAndThen(t *testing.T) {
	run(t, Options{}, func(s *server, r *Reporter) {
		r.Set(observation("a", "2"))
		pass(time.Second)
		s.state["a"] = "1" // another API server was behind
		sent := len(s.batches)
		pass(13 * time.Minute)
		require.Len(t, s.batches, sent)
		pass(4 * time.Minute)
		require.Len(t, s.batches, sent+1)
		require.Equal(t, map[string]string{"a": "2"}, s.state)
		pass(34 * time.Minute)
		require.GreaterOrEqual(t, len(s.batches), sent+3, "and again")
	})
}

func TestResetDuringAReport(t *testing.T) {
	run(t, Options{}, func(s *server, r *Reporter) {
		s.took = 100 * time.Millisecond
		r.Set(observation("a", "1"))
		pass(50 * time.Millisecond) // it is on its way to a server that loses it
		r.Reset()
		pass(100 * time.Millisecond)
		s.state = map[string]string{}
		pass(time.Second)
		synctest.Wait()
		require.Equal(t, map[string]string{"a": "1"}, s.state)
	})
}

func TestChangeDuringAReport(t *testing.T) {
	run(t, Options{}, func(s *server, r *Reporter) {
		s.took = 100 * time.Millisecond
		r.Set(observation("a", "1"))
		pass(50 * time.Millisecond)
		r.Set(observation("a", "2"))
		pass(time.Second)
		synctest.Wait()
		require.Equal(t, "2", s.state["a"])
	})
}

// The server ends up with the newest state of everything, whatever happens on the way.
func TestConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			name, message string
			fail, lost    bool
			pause         time.Duration
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), message: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "message"),
				fail: rapid.Bool().Draw(t, "fail"), lost: rapid.IntRange(0, 9).Draw(t, "lost") == 0,
				pause: time.Duration(rapid.IntRange(0, 600).Draw(t, "pause")) * time.Millisecond,
			}
		}), 1, 20).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			s := &server{start: time.Now(), state: map[string]string{}, bare: map[string]bool{}, took: 30 * time.Millisecond}
			r := New(Options{Post: s.post, MaxBatch: 2})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); r.Run(ctx) }()
			want := map[string]string{}
			for _, step := range steps {
				s.fail = nil
				if step.fail {
					s.fail = errors.New("down")
				}
				if step.lost {
					s.state = map[string]string{}
					r.Reset()
				}
				want[step.name] = step.message
				r.Set(observation(step.name, step.message))
				pass(step.pause)
				synctest.Wait()
			}
			s.fail = nil
			pass(time.Minute)
			synctest.Wait()
			require.Equal(t, want, s.state)
			cancel()
			<-done
		})
	})
}
