package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// stopTimeout is for a loaded machine; 2 s are usual.
const stopTimeout = time.Minute

var errPlayground = errors.New("the playground has ended; what it said is above")

// playground is the process that runs the federation and its members.
type playground struct {
	cmd *exec.Cmd
	// ready is closed when all is there, ended when it is gone.
	ready, ended chan struct{}
}

func startPlayground(dir string, out io.Writer) (*playground, error) {
	p := &playground{
		cmd:   exec.Command(lab.Binary("playground"), "--dir="+dir, "--members="+strings.Join(names, ",")),
		ready: make(chan struct{}), ended: make(chan struct{}),
	}
	p.cmd.Stderr = os.Stderr
	said, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		if err := lab.StartBound(p.cmd); err != nil {
			started <- err
			return
		}
		started <- nil
		p.tell(out, bufio.NewScanner(said))
		_ = p.cmd.Wait() // whoever waits for its end says that it was not asked for
	}()
	return p, <-started
}

// tell prints what the playground says, but for the commands that it proposes: those
// come when there is Istio, too.
func (p *playground) tell(out io.Writer, said *bufio.Scanner) {
	ready := false
	for said.Scan() {
		line := said.Text()
		switch {
		case !ready && strings.HasPrefix(line, "Ready in "):
			ready = true
			close(p.ready)
		case !ready || strings.HasPrefix(line, "["):
			_, _ = fmt.Fprintln(out, line)
		}
	}
}

// stop does what Ctrl-C in the playground's own terminal does.
func (p *playground) stop() error {
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the playground (pid %d) does not end %s after SIGINT", p.cmd.Process.Pid, stopTimeout), p.cmd.Process.Kill())
	}
}

// tool is how a person calls a binary: kubectl of the machine, if there is one.
func tool(name string) string {
	if _, err := exec.LookPath(name); err == nil && name == "kubectl" {
		return name
	}
	return filepath.Join("bin", name)
}
