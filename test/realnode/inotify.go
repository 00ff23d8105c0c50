//go:build linux

package realnode

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Every user of a machine may have only so many instances of inotify, 128 by
// default, which is for a desktop. A node takes about 20; a kubelet that gets none
// ends.
const (
	instancesFile = "/proc/sys/fs/inotify/max_user_instances"
	instances     = 1024
)

// raiseInstances raises the limit if it is low, and returns how to undo that.
func raiseInstances() (undo func() error, err error) {
	data, err := os.ReadFile(instancesFile)
	if err != nil {
		return nil, fmt.Errorf("limit of inotify instances: %w", err)
	}
	before, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, fmt.Errorf("limit of inotify instances: %w", err)
	}
	if before >= instances {
		return func() error { return nil }, nil
	}
	set := func(n int) error { return os.WriteFile(instancesFile, []byte(strconv.Itoa(n)), 0o644) }
	if err := set(instances); err != nil {
		return nil, fmt.Errorf("limit of inotify instances is %d, real nodes need %d: %w", before, instances, err)
	}
	return func() error { return set(before) }, nil
}
