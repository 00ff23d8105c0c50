//go:build linux

package realnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// roleEnv makes the test's binary another program, see Main.
const (
	roleEnv = "FLOTILLA_REALNODE"
	roleBox = "box"
	roleDNS = "dns"
)

// box is the process that all of a node is in.
type box struct {
	cmd *exec.Cmd
	// life is the box's standard input. The box ends when it is closed.
	life io.WriteCloser
	// ended is closed when the box and everything in it is gone; err says why then.
	ended chan struct{}
	err   error
}

// newBox starts a box that waits to be told what node it is.
func newBox(log string) (*box, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the box has its own
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &box{cmd: exec.Command(self), ended: make(chan struct{})}
	b.cmd.Env = append(os.Environ(), roleEnv+"="+roleBox, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	b.cmd.Stdout, b.cmd.Stderr = out, out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
	}
	if b.life, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		b.err = b.cmd.Wait() // it closes life
		close(b.ended)
	}()
	return b, nil
}

// be tells the box what node it is. Its interface has to be there.
func (b *box) be(n *node) error {
	return json.NewEncoder(b.life).Encode(n)
}

// pid names the box's namespaces.
func (b *box) pid() int { return b.cmd.Process.Pid }

// stop kills the box, and thereby all that is in it, and waits until it is gone.
func (b *box) stop() error {
	if err := b.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill of a node: %w", err)
	}
	<-b.ended
	return nil
}
