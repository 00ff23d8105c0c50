package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// dirName is the playground's directory below that of the lab, as in the tutorial.
	dirName = ".flotilla"
	// startTimeout is for a loaded machine; an idle one needs 8 s.
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
	poll         = 100 * time.Millisecond
)

// Lab is a playground in a directory.
type Lab struct {
	// Dir is where the playground was started. Its own directory is .flotilla in it.
	Dir string

	args []string
	said *screen
	cmd  *exec.Cmd
	// ended is closed when the playground is gone; end is its exit error then.
	ended chan struct{}
	end   error
}

// screen collects what a process prints.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Binary is the path of one of the repository's binaries.
func Binary(name string) string {
	dir := os.Getenv("FLOTILLA_BIN")
	if dir == "" {
		dir = filepath.Join(Repository(), "bin")
	}
	return filepath.Join(dir, name)
}

// Repository is the root of the working copy: where go.mod is, above the package
// whose tests run. (Where this file was at compile time is not in a binary that
// was built with -trimpath.)
func Repository() string {
	start, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no go.mod above " + start)
		}
	}
}

// New describes a playground in a directory without starting it. The arguments
// are further flags of the playground.
func New(dir string, args ...string) *Lab {
	return &Lab{Dir: dir, args: args, said: &screen{}}
}

// Main runs the tests of a package with a playground that they share, and is
// what their TestMain does.
func Main(m interface{ Run() int }, share func(*Lab), args ...string) int {
	dir, err := os.MkdirTemp("", "flotilla-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	l := New(dir, args...)
	share(l)
	code := 1
	if err = l.Start(); err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, l.Stop()); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, l.Report())
		code = 1
	}
	// What a failed test leaves is kept nowhere else: its logs were printed.
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// Start starts the playground and returns when it says that it is ready.
func (l *Lab) Start() error {
	for _, name := range []string{"playground", "apiserver", "agent", "kubectl"} {
		if _, err := os.Stat(Binary(name)); err != nil {
			return fmt.Errorf("%w; run make build, or name the directory in FLOTILLA_BIN", err)
		}
	}
	l.cmd = exec.Command(Binary("playground"), l.args...)
	l.cmd.Dir, l.cmd.Stdout, l.cmd.Stderr = l.Dir, l.said, l.said
	ended := make(chan struct{})
	l.ended = ended
	started := make(chan error, 1)
	go func() {
		defer close(ended)
		if err := StartBound(l.cmd); err != nil {
			started <- err
			return
		}
		started <- nil
		l.end = l.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return err
	}
	deadline := time.After(startTimeout)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(l.Path("ready")); err == nil {
			return nil
		}
		select {
		case <-l.ended:
			return fmt.Errorf("the playground did not start: %w", l.end)
		case <-deadline:
			return fmt.Errorf("the playground is not ready after %s", startTimeout)
		case <-ticker.C:
		}
	}
}

// Stop does what Ctrl-C in the playground's terminal does, and waits until it
// has ended. A playground that does not run is stopped already.
func (l *Lab) Stop() error {
	if l.ended == nil {
		return nil
	}
	// A terminal signals everything in the foreground, not only the parent.
	if err := syscall.Kill(-l.cmd.Process.Pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-l.ended:
		l.ended = nil
		return l.end
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the playground does not end %s after SIGINT", stopTimeout), l.cmd.Process.Kill())
	}
}

// Kill ends the playground at once, as a machine that loses power does, and
// waits until all that it ran is gone. Start starts it again.
func (l *Lab) Kill() error {
	children, err := l.children()
	if err != nil {
		return err
	}
	if err := l.cmd.Process.Kill(); err != nil {
		return err
	}
	<-l.ended
	l.ended = nil
	deadline := time.Now().Add(stopTimeout)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for _, child := range children {
		for alive(child.PID) {
			if time.Now().After(deadline) {
				return fmt.Errorf("%s (pid %d) outlives the playground", child.Name, child.PID)
			}
			<-ticker.C
		}
	}
	return os.Remove(l.Path("ready"))
}

// Path is the path of something in the playground's directory.
func (l *Lab) Path(elem ...string) string {
	return filepath.Join(append([]string{l.Dir, dirName}, elem...)...)
}

// Kubeconfig is the administrator's kubeconfig of the federation or a member.
func (l *Lab) Kubeconfig(where string) string {
	if where == Fed {
		return l.Path("fed-config")
	}
	return l.Path("kubeconfig-" + where)
}
