//go:build linux

package realnode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Lab is clusters that can reach each other.
type Lab struct {
	dir    string
	bridge bridge
	// lower undoes a change of the machine's limits.
	lower func() error

	mu       sync.Mutex
	clusters []*Cluster
}

// New prepares a lab without clusters. It removes what tests that crashed have
// left on the machine.
func New() (*Lab, error) {
	if err := errors.Join(removeLinks(stale), removeCgroups(stale), removeStaleDirs()); err != nil {
		return nil, fmt.Errorf("what a test before has left: %w", err)
	}
	lower, err := raiseInstances()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", own()+"-")
	if err != nil {
		return nil, errors.Join(err, lower())
	}
	b, err := newBridge()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir), lower())
	}
	return &Lab{dir: dir, bridge: b, lower: lower}, nil
}

// own begins the names of what belongs to this process.
func own() string { return owner + strconv.Itoa(os.Getpid()) }

func removeStaleDirs() error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), owner+"*"))
	if err != nil {
		return err
	}
	var failed []error
	for _, dir := range dirs {
		if stale(filepath.Base(dir)) {
			failed = append(failed, os.RemoveAll(dir))
		}
	}
	return errors.Join(failed...)
}

// Gateway is the address of this machine as nodes see it.
func (l *Lab) Gateway() string { return l.bridge.gateway() }

// Close stops all clusters and removes everything that is left of them.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var failed []error
	for _, c := range l.clusters {
		failed = append(failed, c.box.stop())
	}
	l.clusters = nil
	failed = append(failed,
		removeCgroups(func(name string) bool { return strings.HasPrefix(name, own()+"-") }),
		l.bridge.remove(), os.RemoveAll(l.dir), l.lower())
	return errors.Join(failed...)
}

// Report is the ends of the logs of all clusters.
func (l *Lab) Report() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var report strings.Builder
	for _, c := range l.clusters {
		report.WriteString(c.report())
	}
	return report.String()
}
