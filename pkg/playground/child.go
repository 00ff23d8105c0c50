package playground

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// child describes a process that the playground keeps running.
type child struct {
	// Name is the entry in the process table and the name of the log.
	name string
	// title is what people call it.
	title string
	role  Role
	// command is called before each start.
	command func() (*exec.Cmd, error)
	// ready tells whether the process that was started at a time, with an
	// id, does its work.
	ready func(ctx context.Context, pid int, since time.Time) (bool, error)
	// grace is how long a stop may take before it is forced.
	grace time.Duration
}

const (
	// maxEarlyEnds is how often a child may end before it was ever ready.
	maxEarlyEnds = 3
	startTimeout = 4 * time.Minute
	pollInterval = 100 * time.Millisecond
	// patience is how long nothing is said about a child that is not ready.
	patience = 15 * time.Second
)

// errStart says that a child could not be brought up.
var errStart = errors.New("did not start")

// process is a child that is kept running.
type process struct {
	child
	logFile string
	spawn   func(*exec.Cmd) error
	table   *processTable
	say     func(format string, args ...any)
	backoff backoff

	stopping  chan struct{}
	stopOnce  sync.Once
	done      chan struct{}
	readyOnce sync.Once
	// firstReady is closed when the child was ready for the first time.
	firstReady chan struct{}

	mu      sync.Mutex
	current *os.Process
	started time.Time
	ends    int
	lastEnd error
	lastErr error
}

// keepRunning starts the child and starts it again whenever it ends.
func keepRunning(p *process) *process {
	p.stopping = make(chan struct{})
	p.done = make(chan struct{})
	p.firstReady = make(chan struct{})
	go p.loop()
	return p
}

func (p *process) loop() {
	defer close(p.done)
	for {
		started := time.Now()
		end := p.runOnce(started)
		if p.isStopping() {
			return
		}
		delay := p.backoff.next(time.Since(started))
		p.say("%s ended after %s (%v); starting it again in %s", p.title, seconds(time.Since(started)), end, seconds(delay))
		p.mu.Lock()
		p.ends++
		p.lastEnd = end
		p.mu.Unlock()
		select {
		case <-p.stopping:
			return
		case <-time.After(delay):
		}
	}
}

// runOnce runs one process to its end and says why it ended.
func (p *process) runOnce(started time.Time) error {
	cmd, err := p.command()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.logFile), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log

	p.mu.Lock()
	if p.isStopping() {
		p.mu.Unlock()
		return nil
	}
	if err := p.spawn(cmd); err != nil {
		p.mu.Unlock()
		return err
	}
	p.current, p.started = cmd.Process, started
	p.mu.Unlock()

	if err := p.table.set(Process{Name: p.name, PID: cmd.Process.Pid, Role: p.role}); err != nil {
		p.say("%s: %v", p.title, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	watched := make(chan struct{})
	go func() { defer close(watched); p.watchReady(ctx, cmd.Process.Pid, started) }()

	end := cmd.Wait()
	cancel()
	<-watched
	p.mu.Lock()
	p.current = nil
	p.mu.Unlock()
	if err := p.table.remove(p.name); err != nil {
		p.say("%s: %v", p.title, err)
	}
	if end == nil {
		end = errors.New("exit status 0")
	}
	return end
}

// watchReady tells when the process is ready, for the first time or again.
func (p *process) watchReady(ctx context.Context, pid int, started time.Time) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	told := started
	for {
		ok, err := p.ready(ctx, pid, started)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.lastErr = err
		p.mu.Unlock()
		if ok && err == nil {
			word := "is back after"
			p.readyOnce.Do(func() {
				close(p.firstReady)
				word = "is ready after"
			})
			p.say("%s %s %s", p.title, word, seconds(time.Since(started)))
			return
		}
		if time.Since(told) >= patience {
			told = time.Now()
			p.say("%s is not ready after %s, %s", p.title, seconds(time.Since(started)), waiting(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// waiting is what is said when there is no error to name.
func waiting(err error) string {
	if err == nil {
		return "still waiting"
	}
	return "still waiting: " + err.Error()
}

// waitReady waits until the child was ready once. It gives up, with what is
// known, when the child keeps ending or time runs out.
func (p *process) waitReady(ctx context.Context) error {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.firstReady:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timeout.C:
			return p.startError(fmt.Errorf("not ready after %s", startTimeout))
		case <-ticker.C:
			p.mu.Lock()
			ends, lastEnd := p.ends, p.lastEnd
			p.mu.Unlock()
			if ends >= maxEarlyEnds {
				return p.startError(fmt.Errorf("it ended %d times, the last time with: %w", ends, lastEnd))
			}
		}
	}
}

func (p *process) startError(reason error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &startError{title: p.title, logFile: p.logFile, err: errors.Join(reason, p.lastErr)}
}

// startError carries what a person needs to find out more.
type startError struct {
	title, logFile string
	err            error
}

func (e *startError) Error() string   { return fmt.Sprintf("%s %v: %v", e.title, errStart, e.err) }
func (e *startError) Unwrap() []error { return []error{errStart, e.err} }

func (p *process) isStopping() bool {
	select {
	case <-p.stopping:
		return true
	default:
		return false
	}
}

// signal reaches the running process, if there is one.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		// The process may have ended meanwhile; then there is nothing to do.
		_ = p.current.Signal(s)
	}
}

// since is when the process that runs now, or ran last, was started.
func (p *process) since() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

// restart ends the current process; the loop starts the next one.
func (p *process) restart() { p.signal(syscall.SIGTERM) }

// stop ends the child for good, by force once the grace is over, and returns
// when it is gone.
func (p *process) stop() {
	p.stopOnce.Do(func() { close(p.stopping) })
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(p.grace):
	}
	p.say("%s did not stop in %s, killing it", p.title, seconds(p.grace))
	p.signal(syscall.SIGKILL)
	<-p.done
}

// backoff is the delay before a child is started again: it doubles with each
// end, and begins anew after a run that was long enough to call healthy.
type backoff struct {
	first, max, healthy time.Duration
	delay               time.Duration
}

func newBackoff() backoff {
	return backoff{first: 500 * time.Millisecond, max: 20 * time.Second, healthy: 30 * time.Second}
}

func (b *backoff) next(ran time.Duration) time.Duration {
	if b.delay == 0 || ran >= b.healthy {
		b.delay = b.first
	} else {
		b.delay = min(2*b.delay, b.max)
	}
	return b.delay
}
