package playground

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// narrator tells a person what happens, one line at a time, each with the
// seconds since the start.
type narrator struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
	now   func() time.Time
}

func newNarrator(out io.Writer) *narrator {
	return &narrator{out: out, start: time.Now(), now: time.Now}
}

func (n *narrator) elapsed() time.Duration {
	return n.now().Sub(n.start)
}

// say prints a line. What cannot be printed is lost: there is nobody to tell.
func (n *narrator) say(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintf(n.out, "[%5.1fs] %s\n", n.elapsed().Seconds(), fmt.Sprintf(format, args...))
}

// print prints text as it is.
func (n *narrator) print(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = io.WriteString(n.out, strings.TrimRight(text, "\n")+"\n")
}

// seconds is a duration as people read it.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.1fs", d.Seconds())
}
