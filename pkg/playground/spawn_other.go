//go:build !linux

package playground

import "syscall"

// processAttributes: only Linux can tie a child's life to its parent's.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
