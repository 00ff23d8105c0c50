package playground

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

// Role is what a process is part of.
type Role string

// The roles of the playground's children.
const (
	RoleControlPlane Role = "control-plane"
	RoleAgent        Role = "agent"
	RoleMember       Role = "member"
)

// Process is an entry of processes.json.
type Process struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	Role Role   `json:"role"`
}

// processTable keeps processes.json in step with what runs.
type processTable struct {
	mu      sync.Mutex
	file    string
	running map[string]Process
}

func newProcessTable(file string) *processTable {
	return &processTable{file: file, running: map[string]Process{}}
}

func (t *processTable) set(p Process) error {
	return t.change(func() { t.running[p.Name] = p })
}

func (t *processTable) remove(name string) error {
	return t.change(func() { delete(t.running, name) })
}

func (t *processTable) change(apply func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	apply()
	list := slices.SortedFunc(maps.Values(t.running), func(a, b Process) int {
		return cmp.Or(cmp.Compare(roleOrder(a.Role), roleOrder(b.Role)), cmp.Compare(a.Name, b.Name))
	})
	if list == nil {
		list = []Process{}
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err == nil {
		err = pki.WriteFile(t.file, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("process table: %w", err)
	}
	return nil
}

func roleOrder(r Role) int {
	return slices.Index([]Role{RoleControlPlane, RoleMember, RoleAgent}, r)
}
