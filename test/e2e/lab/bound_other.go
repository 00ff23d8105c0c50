//go:build !linux

package lab

import (
	"os/exec"
	"syscall"
)

// StartBound starts a process in a group of its own.
func StartBound(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Start()
}
