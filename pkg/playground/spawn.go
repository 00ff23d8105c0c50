package playground

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives as long as the
// playground does. The kernel's promise that a child dies with its parent is
// about the thread that started it, and Go's threads come and go.
type spawner struct {
	requests chan spawnRequest
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan<- error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest)}
	go func() {
		// Never unlocked: the thread ends with the goroutine, the goroutine
		// with close, and close comes after the last child.
		runtime.LockOSThread()
		for r := range s.requests {
			r.result <- r.cmd.Start()
		}
	}()
	return s
}

// start starts the command in a process group of its own, so that Ctrl-C in
// the terminal reaches the playground alone and it can keep the order.
func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = processAttributes()
	result := make(chan error, 1)
	s.requests <- spawnRequest{cmd, result}
	return <-result
}

func (s *spawner) close() { close(s.requests) }
