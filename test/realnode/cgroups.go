//go:build linux

package realnode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	cgroupTimeout = 10 * time.Second
	cgroupLook    = 50 * time.Millisecond
)

// hierarchies are where control groups are mounted: one of version 2, or one of
// version 1 for each controller.
func hierarchies() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			list = append(list, fields[1])
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no control groups are mounted")
	}
	return list, nil
}

// makeCgroup makes a control group below the root of every hierarchy.
func makeCgroup(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		enableControllers(root)
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
		// A new cpuset of version 1 is empty, and takes no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(root, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(root, name, file), value, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// enableControllers lets groups of version 2 have all controllers. Those that
// cannot be had are missed by the kubelet, which says so.
func enableControllers(root string) {
	data, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return
	}
	for controller := range strings.FieldsSeq(string(data)) {
		_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
}

// removeCgroups removes the groups whose names the function accepts, which hold
// no process that lives.
func removeCgroups(accept func(name string) bool) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	var failed []error
	for _, root := range roots {
		entries, err := os.ReadDir(root)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() && accept(entry.Name()) {
				failed = append(failed, removeCgroup(filepath.Join(root, entry.Name())))
			}
		}
	}
	return errors.Join(failed...)
}

// removeCgroup removes a group and those in it, the innermost first. A group whose
// last process has just ended is busy for a moment.
func removeCgroup(dir string) error {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	deadline := time.After(cgroupTimeout)
	for _, group := range slices.Backward(groups) {
		for {
			err := syscall.Rmdir(group)
			if err == nil || errors.Is(err, syscall.ENOENT) {
				break
			}
			select {
			case <-deadline:
				return fmt.Errorf("control group %s stays: %w", group, err)
			case <-time.After(cgroupLook):
			}
		}
	}
	return nil
}
