package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// child is an entry of processes.json.
type child struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

func (l *Lab) children() ([]child, error) {
	data, err := os.ReadFile(l.Path("processes.json"))
	if err != nil {
		return nil, err
	}
	var running []child
	if err := json.Unmarshal(data, &running); err != nil {
		return nil, fmt.Errorf("processes.json: %w", err)
	}
	return running, nil
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// PID is the process id of a child of the playground, by its name in
// processes.json: apiserver, member-<name>, agent-<name>.
func (l *Lab) PID(name string) (int, error) {
	running, err := l.children()
	if err != nil {
		return 0, err
	}
	for _, p := range running {
		if p.Name == name {
			return p.PID, nil
		}
	}
	return 0, fmt.Errorf("%s does not run; what does: %v", name, running)
}

// Signal sends a signal to a child of the playground.
func (l *Lab) Signal(name string, signal syscall.Signal) error {
	pid, err := l.PID(name)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("%s to %s (pid %d): %w", signal, name, pid, err)
	}
	return nil
}

// Report is what the playground said, the ends of the logs of its children, and
// what agents say about themselves: conditions and annotations of Clusters.
func (l *Lab) Report() string {
	var out strings.Builder
	clusters, err := l.kubectl(Fed, "", "", "get", "clusters",
		`--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations}{"\n"}{range .status.conditions[*]}  {.type}={.status} {.reason} {.message}{"\n"}{end}{end}`)
	if err != nil {
		clusters = err.Error()
	}
	fmt.Fprintf(&out, "--- clusters\n%s\n", clusters)
	fmt.Fprintf(&out, "--- the playground said\n%s\n", lastLines(l.said.String(), 40))
	logs, err := filepath.Glob(l.Path("logs", "*.log"))
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	slices.Sort(logs)
	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err != nil {
			fmt.Fprintln(&out, err)
			continue
		}
		fmt.Fprintf(&out, "--- the end of %s\n%s\n", filepath.Base(log), lastLines(string(data), 12))
	}
	return out.String()
}

// lastLines cuts long lines, too.
func lastLines(text string, n int) string {
	const width = 300
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = slices.Clone(lines[max(0, len(lines)-n):])
	for i, line := range lines {
		if len(line) > width {
			lines[i] = line[:width] + "..."
		}
	}
	return strings.Join(lines, "\n")
}
