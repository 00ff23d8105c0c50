//go:build !linux

package lab

import (
	"os/exec"
	"syscall"
)

// startBound starts a process in a group of its own.
func startBound(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Start()
}
