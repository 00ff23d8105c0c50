package lab

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Crash kills a child of the playground with SIGKILL and returns when its
// successor runs.
func (s *Session) Crash(name string) {
	s.Helper()
	var before int
	s.Eventually(name+" runs", func() (string, bool) {
		pid, err := s.PID(name)
		before = pid
		return errorText(err), err == nil
	})
	if err := s.Signal(name, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
	s.Eventually(name+" runs again", func() (string, bool) {
		pid, err := s.PID(name)
		return errorText(err), err == nil && pid != before
	})
}

// Freeze holds children of the playground still, like machines that hang, until
// thaw is called or the test ends.
func (s *Session) Freeze(names ...string) (thaw func()) {
	s.Helper()
	for _, name := range names {
		if err := s.Signal(name, syscall.SIGSTOP); err != nil {
			s.Fatal(err)
		}
	}
	var once sync.Once
	thaw = func() {
		once.Do(func() {
			for _, name := range names {
				if err := s.Signal(name, syscall.SIGCONT); err != nil {
					s.Error(err)
				}
			}
		})
	}
	s.Cleanup(thaw)
	return thaw
}

// Deletions watches objects in a place until the returned function is called,
// which tells what was deleted meanwhile, a line for each.
func (s *Session) Deletions(where string, kinds ...string) (end func() []string) {
	s.Helper()
	var ends []func() []string
	for _, kind := range kinds {
		ends = append(ends, s.deletions(where, kind))
	}
	return func() (deleted []string) {
		s.Helper()
		for _, end := range ends {
			deleted = append(deleted, end()...)
		}
		return deleted
	}
}

func (s *Session) deletions(where, kind string) (end func() []string) {
	s.Helper()
	var out screen
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, Binary("kubectl"), "--kubeconfig="+s.Kubeconfig(where), "--namespace="+s.Namespace,
		"get", kind, "--watch", "--output-watch-events", "--no-headers")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		cancel()
		s.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	s.Cleanup(func() { cancel(); <-ended })
	s.Eventually("the watch of "+kind+" in "+where+" has begun", func() (string, bool) {
		return out.String(), strings.Contains(out.String(), "ADDED")
	})
	return func() (deleted []string) {
		s.Helper()
		select {
		case <-ended:
			s.Fatalf("the watch of %s in %s has ended too early:\n%s", kind, where, out.String())
		default:
		}
		cancel()
		<-ended
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "DELETED") {
				deleted = append(deleted, line)
			}
		}
		return deleted
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
