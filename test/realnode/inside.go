//go:build linux

package realnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const fileLook = 50 * time.Millisecond

// inside is what the box does: the first process of its PID namespace. It ends
// when a process of the node does, or standard input.
func inside() error {
	// What is started here is not a box itself.
	if err := os.Unsetenv(roleEnv); err != nil {
		return err
	}
	var n node
	// The decoder may have read ahead only what the test never sends.
	if err := json.NewDecoder(os.Stdin).Decode(&n); err != nil {
		return fmt.Errorf("what node this is: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end, too
		os.Exit(0)
	}()
	if err := syscall.Sethostname([]byte(n.Name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := mounts(&n); err != nil {
		return err
	}
	if err := network(&n); err != nil {
		return err
	}
	k := &keeper{running: map[int]string{}}
	return k.keep(&n)
}

// mounts replaces what processes of a node expect at fixed paths, and what they
// would change.
func mounts(n *node) error {
	type mount struct {
		source, target, fstype string
		flags                  uintptr
	}
	list := []mount{
		{target: "/", flags: syscall.MS_REC | syscall.MS_PRIVATE},
		{source: "proc", target: "/proc", fstype: "proc"},
		{source: "run", target: "/run", fstype: "tmpfs"},
		{source: n.path("masks", "var-log"), target: "/var/log", flags: syscall.MS_BIND},
		{source: n.path("masks", "var-lib"), target: "/var/lib", flags: syscall.MS_BIND},
	}
	for name := range sysctls {
		list = append(list, mount{source: n.path("sysctl", name), target: "/proc/sys/" + name, flags: syscall.MS_BIND})
	}
	for _, m := range list {
		if err := syscall.Mount(m.source, m.target, m.fstype, m.flags, ""); err != nil {
			return fmt.Errorf("mount on %s: %w", m.target, err)
		}
	}
	return nil
}

// network sets up the box's network: the interface is there.
func network(n *node) error {
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "address", "add", n.Address + "/24", "dev", n.Interface},
		{"ip", "link", "set", n.Interface, "up"},
		{"ip", "route", "add", "default", "via", n.Gateway},
		{"nft", "--file", n.path("nftables.conf")},
	} {
		if err := run(args...); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("forwarding: %w", err)
	}
	return nil
}

// run runs a command of the machine. The error has what it said.
func run(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// keeper starts the processes of a node and reaps whatever ends in the box.
type keeper struct {
	mu      sync.Mutex
	running map[int]string
}

func (k *keeper) keep(n *node) error {
	list := n.processes()
	if err := k.start(n, list[0]); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() {
		for _, p := range list[1:] {
			if p.after != "" {
				appears(p.after)
			}
			if err := k.start(n, p); err != nil {
				failed <- err
				return
			}
		}
	}()
	go func() { failed <- k.reap() }()
	return <-failed
}

func appears(file string) {
	ticker := time.NewTicker(fileLook)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(file); err == nil {
			return
		}
		<-ticker.C
	}
}

// start does not use os/exec, whose waiting and reap would take from each other.
func (k *keeper) start(n *node, p process) error {
	log, err := os.Create(n.path("logs", p.name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }() // as above
	k.mu.Lock()
	defer k.mu.Unlock()
	pid, err := syscall.ForkExec(p.args[0], p.args, &syscall.ProcAttr{
		Env:   append(os.Environ(), roleEnv+"="+p.role),
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	k.running[pid] = p.name
	return nil
}

// reap returns when one of the node's processes has ended.
func (k *keeper) reap() error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting for processes: %w", err)
		}
		k.mu.Lock()
		name, ours := k.running[pid]
		k.mu.Unlock()
		if ours {
			return fmt.Errorf("%s has ended: exit code %d, signal %q", name, status.ExitStatus(), status.Signal())
		}
	}
}
