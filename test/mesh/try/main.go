package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// names are those of docs/tutorial/mesh.yaml. Calls come from the first.
var names = []string{"eu", "ap", "us"}

// istioTimeout is for a slow machine; two cores need 6 to 12 s.
const istioTimeout = 3 * time.Minute

func main() {
	dir := flag.String("dir", ".flotilla-mesh", "directory for everything that is kept")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &try{out: os.Stdout, dir: *dir, begin: time.Now()}); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// try is one run.
type try struct {
	out   io.Writer
	dir   string
	begin time.Time

	mu      sync.Mutex
	members map[string]*meshlab.Member
}

func (t *try) path(name string) string { return filepath.Join(t.dir, name) }

// say prints a line with the time since the start, as the playground does.
func (t *try) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, "[%5.1fs] %s\n", time.Since(t.begin).Seconds(), fmt.Sprintf(format, args...))
}

func run(ctx context.Context, t *try) (err error) {
	if err := istiolab.Available(); err != nil {
		return err
	}
	_, before := os.Stat(t.path("istiod-" + names[0]))
	p, err := startPlayground(t.dir, t.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	select {
	case <-p.ready:
	case <-p.ended:
		return errPlayground
	case <-ctx.Done():
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was interrupted
		}
		return err
	}
	_, _ = io.WriteString(t.out, t.whatNext(before == nil))
	var done sync.WaitGroup
	for _, name := range names {
		done.Go(func() { t.keep(ctx, t.members[name]) })
	}
	done.Go(func() { t.call(ctx, t.members[names[0]]) })
	defer done.Wait()
	defer cancel()
	select {
	case <-ctx.Done():
		return nil
	case <-p.ended:
		return errPlayground
	}
}

// start gives all members their Istio.
func (t *try) start(ctx context.Context) error {
	t.say("giving members Istio's 15 CRDs and starting an istiod beside each: about 10 s on 2 cores, which all three share")
	dir, err := filepath.Abs(t.dir) // istiods run elsewhere
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, istioTimeout)
	defer cancel()
	t.members = map[string]*meshlab.Member{}
	addresses := &traffic.Addresses{}
	return inParallel(func(name string) error {
		began := time.Now()
		m, err := meshlab.StartMember(ctx, name, filepath.Join(dir, "kubeconfig-"+name), filepath.Join(dir, "istiod-"+name), addresses)
		if m != nil {
			t.mu.Lock()
			t.members[name] = m
			t.mu.Unlock()
		}
		if err != nil {
			return err
		}
		return t.started(m, began)
	})
}

// started tells that an istiod is ready, and where it is.
func (t *try) started(m *meshlab.Member, began time.Time) error {
	t.say("istiod of %s is ready after %.1fs, pid %d", m.Name, time.Since(began).Seconds(), m.Istiod.PID())
	return os.WriteFile(t.pidFile(m.Name), fmt.Appendln(nil, m.Istiod.PID()), 0o644)
}

func (t *try) pidFile(name string) string { return t.path("istiod-" + name + ".pid") }

func (t *try) close() error {
	began := time.Now()
	err := inParallel(func(name string) error {
		m := t.members[name]
		if m == nil {
			return nil
		}
		return errors.Join(os.RemoveAll(t.pidFile(name)), m.Close())
	})
	t.say("stopped istiods, in %.1fs", time.Since(began).Seconds())
	return err
}

// inParallel does something for all members at once, and returns all errors.
func inParallel(do func(name string) error) error {
	failed := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { failed[i] = do(name) })
	}
	group.Wait()
	return errors.Join(failed...)
}
