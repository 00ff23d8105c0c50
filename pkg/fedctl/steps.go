package fedctl

import (
	"context"
	"fmt"
	"time"
)

// say prints a line for the person at the terminal.
func (c *cli) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.Out, format+"\n", args...)
}

// warn prints a line that is not part of the result.
func (c *cli) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(c.ErrOut, "Warning: "+format+"\n", args...)
}

// poll calls look until it is done or fails, or the context ends. Then the error says what was seen last.
func poll(ctx context.Context, what string, look func(context.Context) (done bool, seen string, err error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	last := "nothing yet"
	for {
		done, seen, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: gave up: %s: %w", what, last, context.Cause(ctx))
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case done:
			return nil
		}
		if seen != "" {
			last = seen
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// notYet is a look that failed and may succeed later.
func notYet(err error) (done bool, seen string, final error) { return false, err.Error(), nil }

// within bounds a wait; 0 is no bound.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("--timeout %s is over: %w", timeout, context.DeadlineExceeded))
}
