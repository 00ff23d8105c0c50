package playground

import (
	"fmt"
	"path/filepath"
)

// layout names the files in a playground's directory.
type layout string

// newLayout makes the paths absolute: children do not share our working
// directory.
func newLayout(dir string) (layout, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("--dir %s: %w", dir, err)
	}
	return layout(abs), nil
}

func (l layout) path(elem ...string) string {
	return filepath.Join(append([]string{string(l)}, elem...)...)
}

func (l layout) state() string                  { return l.path("playground.json") }
func (l layout) lock() string                   { return l.path("lock") }
func (l layout) ready() string                  { return l.path("ready") }
func (l layout) processes() string              { return l.path("processes.json") }
func (l layout) fedConfig() string              { return l.path("fed-config") }
func (l layout) federation() string             { return l.path("federation") }
func (l layout) kubeconfig(name string) string  { return l.path("kubeconfig-" + name) }
func (l layout) member(name string) string      { return l.path("members", name) }
func (l layout) memberReady(name string) string { return l.path("members", name, "ready") }
func (l layout) agent(elem ...string) string    { return l.path(append([]string{"agents"}, elem...)...) }
func (l layout) log(child string) string        { return l.path("logs", child+".log") }

// made are patterns of the names that a playground puts into its directory.
// The marker is last, so that a removal that was interrupted can be repeated.
var made = []string{
	"federation", "members", "agents", "logs", "fed-config", "kubeconfig-*",
	"istiod-*", // of make playground-mesh
	"ready", "processes.json", "lock", "playground.json",
}
