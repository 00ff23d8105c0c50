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

// PID is the process id of a child of the playground, by its name in
// processes.json: apiserver, member-<name>, agent-<name>.
func (l *Lab) PID(name string) (int, error) {
	data, err := os.ReadFile(l.Path("processes.json"))
	if err != nil {
		return 0, err
	}
	var running []struct {
		Name string `json:"name"`
		PID  int    `json:"pid"`
	}
	if err := json.Unmarshal(data, &running); err != nil {
		return 0, fmt.Errorf("processes.json: %w", err)
	}
	for _, p := range running {
		if p.Name == name {
			return p.PID, nil
		}
	}
	return 0, fmt.Errorf("%s does not run; what does: %s", name, data)
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

// Report is what the playground said and the ends of the logs of its children.
func (l *Lab) Report() string {
	var out strings.Builder
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
		fmt.Fprintf(&out, "--- the end of %s\n%s\n", filepath.Base(log), lastLines(string(data), 25))
	}
	return out.String()
}

// lastLines cuts long lines, too.
func lastLines(text string, n int) string {
	const width = 500
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = slices.Clone(lines[max(0, len(lines)-n):])
	for i, line := range lines {
		if len(line) > width {
			lines[i] = line[:width] + "..."
		}
	}
	return strings.Join(lines, "\n")
}
