package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

const (
	callInterval = 100 * time.Millisecond
	tellInterval = 5 * time.Second
)

// counts are the calls of an interval.
type counts struct {
	by     map[string]int
	failed int
	// why the last one failed, and why there was nothing to call.
	why, nothing error
}

// call calls hello from a member again and again, and tells who answered. It says
// nothing while there is nothing to call, but for when and why that came to be.
func (t *try) call(ctx context.Context, m *meshlab.Member) {
	calls, tell := time.NewTicker(callInterval), time.NewTicker(tellInterval)
	defer calls.Stop()
	defer tell.Stop()
	now, called := counts{by: map[string]int{}}, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-calls.C:
			now.add(m.Call(ctx))
		case <-tell.C:
			some := now.failed+len(now.by) > 0
			switch {
			case some:
				t.say("%s", now.line(m.Name))
			case called:
				t.say("nothing to call in %s any more: %v", m.Name, now.nothing)
			}
			now, called = counts{by: map[string]int{}}, some
		}
	}
}

func (c *counts) add(answer traffic.Answer, err error) {
	switch {
	case errors.Is(err, traffic.ErrNoEndpoint):
		c.nothing = err
	case err != nil:
		c.failed, c.why = c.failed+1, err
	default:
		cluster, _, _ := strings.Cut(answer.By, "/")
		c.by[cluster]++
	}
}

// line is: calls from eu in the last 5 s: eu 4, ap 3, us 3, failed 0
func (c *counts) line(from string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "calls from %s in the last %.0f s: ", from, tellInterval.Seconds())
	for _, name := range names {
		fmt.Fprintf(&b, "%s %d, ", name, c.by[name])
	}
	fmt.Fprintf(&b, "failed %d", c.failed)
	if c.why != nil {
		fmt.Fprintf(&b, " (%v)", c.why)
	}
	return b.String()
}
