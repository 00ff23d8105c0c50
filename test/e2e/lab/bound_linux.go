package lab

import (
	"os/exec"
	"runtime"
	"syscall"
)

// StartBound starts a process in a group of its own that is interrupted when
// this one dies, be it by a panic or the end of a test's time. The signal is
// sent when the calling thread ends, so the caller has to stay until the
// process has ended.
func StartBound(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	return cmd.Start()
}
