package playground

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Mode is how the federation reaches members.
type Mode string

// In Pull mode an agent runs beside each member and connects to the
// federation; in Push mode the federation connects to the members.
const (
	Pull Mode = "pull"
	Push Mode = "push"
)

// ErrConfig is matched by every error about a Config.
var ErrConfig = errors.New("invalid playground configuration")

// maxName leaves room for the prefixes that objects about a cluster get.
const maxName = 48

// Config says what to run.
type Config struct {
	// Dir holds everything; made if absent.
	Dir string
	// Members are cluster names.
	Members []string
	// Nodes is the number of simulated nodes of each member.
	Nodes int
	Mode  Mode
	// BinDir has the binaries apiserver and agent, and this one.
	BinDir string
	// Verbosity is the log level of all children.
	Verbosity int
	// Out is where progress is told.
	Out io.Writer
}

// DefaultConfig is the playground of the tutorial.
func DefaultConfig() Config {
	return Config{Dir: ".flotilla", Members: []string{"eu", "ap", "us"}, Nodes: 1, Mode: Pull, Out: os.Stdout}
}

// Validate checks everything that can be checked without touching the disk.
func (c *Config) Validate() error {
	if c.Dir == "" {
		return fmt.Errorf("%w: --dir is empty", ErrConfig)
	}
	if len(c.Members) == 0 {
		return fmt.Errorf("%w: --members names no cluster; try --members eu,ap,us", ErrConfig)
	}
	for i, name := range c.Members {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("%w: --members: %q cannot be the name of a cluster: %s", ErrConfig, name, strings.Join(problems, "; "))
		}
		if len(name) > maxName {
			return fmt.Errorf("%w: --members: %q is longer than %d characters", ErrConfig, name, maxName)
		}
		if slices.Contains(c.Members[:i], name) {
			return fmt.Errorf("%w: --members: %q is there twice", ErrConfig, name)
		}
	}
	if c.Nodes < 1 || c.Nodes > 5000 {
		return fmt.Errorf("%w: --nodes %d: use 1 to 5000", ErrConfig, c.Nodes)
	}
	if c.Mode != Pull && c.Mode != Push {
		return fmt.Errorf("%w: --mode %q: use %s or %s", ErrConfig, c.Mode, Pull, Push)
	}
	return nil
}

// binaries are the executables that the playground starts.
type binaries struct {
	apiServer, agent, self string
}

// findBinaries looks where this executable is, which is where make puts all
// of them.
func (c *Config) findBinaries() (binaries, error) {
	self, err := os.Executable()
	if err != nil {
		return binaries{}, fmt.Errorf("own executable: %w", err)
	}
	dir := c.BinDir
	if dir == "" {
		dir = filepath.Dir(self)
	}
	found := binaries{
		apiServer: filepath.Join(dir, "apiserver"),
		agent:     filepath.Join(dir, "agent"),
		self:      self,
	}
	needed := []string{found.apiServer}
	if c.Mode == Pull {
		needed = append(needed, found.agent)
	}
	for _, file := range needed {
		if _, err := os.Stat(file); err != nil {
			return binaries{}, fmt.Errorf("%w; run make build, or name the directory with --bin-dir", err)
		}
	}
	return found, nil
}
