package playground

import "syscall"

// processAttributes makes the kernel kill the child when the playground dies
// without a chance to stop it. All children bear SIGKILL.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
