package meshlab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

const (
	callInterval = 25 * time.Millisecond
	callTimeout  = 5 * time.Second
)

// Load calls hello from a member again and again.
type Load struct {
	s    *Session
	from string
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	calls []call
}

type call struct {
	begin  time.Time
	answer traffic.Answer
	err    error
}

// StartLoad calls until the test ends, or Stop. It begins when the caller has
// endpoints.
func (s *Session) StartLoad(from string) *Load {
	s.Helper()
	s.Await("a workload of "+from+" is told endpoints of hello", func() error {
		endpoints, err := s.HelloEndpoints(from)
		if err == nil && len(endpoints) == 0 {
			err = errors.New("none")
		}
		return err
	})
	l := &Load{s: s, from: from}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(s.Context())
	l.done.Go(func() {
		ticker := time.NewTicker(callInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			begin := time.Now()
			answer, err := s.Call(ctx, from)
			if ctx.Err() != nil {
				return
			}
			l.mu.Lock()
			l.calls = append(l.calls, call{begin: begin, answer: answer, err: err})
			l.mu.Unlock()
		}
	})
	s.Cleanup(l.Stop)
	return l
}

// Stop ends it.
func (l *Load) Stop() {
	l.stop()
	l.done.Wait()
}

// Call calls hello once from a member.
func (s *Session) Call(ctx context.Context, from string) (traffic.Answer, error) {
	return s.Mesh.Members[from].Call(ctx)
}

// Since is what was called from a time on: how often each cluster answered, and
// what failed.
func (l *Load) Since(begin time.Time) (answered map[string]int, failed []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	answered = map[string]int{}
	for _, c := range l.calls {
		switch {
		case c.begin.Before(begin):
		case c.err != nil:
			failed = append(failed, fmt.Sprintf("%s from %s: %v", c.begin.Format("15:04:05.000"), l.from, c.err))
		default:
			cluster, _, _ := strings.Cut(c.answer.By, "/")
			answered[cluster]++
		}
	}
	return answered, failed
}

// NoneFailed ends it, and fails the test if one of the calls since a time has.
func (l *Load) NoneFailed(begin time.Time) {
	l.s.Helper()
	l.Stop()
	answered, failed := l.Since(begin)
	if len(failed) > 0 {
		l.s.Fatalf("%d calls from %s failed, the first: %s", len(failed), l.from, failed[0])
	}
	l.s.Logf("answered to %s: %v", l.from, answered)
}

// Answers waits until so many more calls were answered by each of some clusters
// without one that failed.
func (l *Load) Answers(more int, clusters ...string) {
	l.s.Helper()
	begin := time.Now()
	l.s.Await(fmt.Sprintf("%d more calls from %s are answered by each of %v", more, l.from, clusters), func() error {
		answered, failed := l.Since(begin)
		if len(failed) > 0 {
			l.s.Fatalf("%d calls failed, the first: %s", len(failed), failed[0])
		}
		for _, cluster := range clusters {
			if answered[cluster] < more {
				return fmt.Errorf("answered so far: %v", answered)
			}
		}
		return nil
	})
}
