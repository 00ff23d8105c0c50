package member

import (
	"errors"
	"fmt"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Config is what tells one member from another.
type Config struct {
	// Name is the cluster's name, a DNS label.
	Name string
	// Dir holds everything the member keeps: certificates, etcd's data.
	Dir string
	// Kubeconfig is written for people and agents when the API is served.
	Kubeconfig string
	// ReadyFile exists while the API is served and the nodes are ready. It
	// holds the id of the serving process.
	ReadyFile string
	// Port is the loopback port of the API server.
	Port int
	// Nodes is how many nodes are simulated.
	Nodes int
	// Verbosity is the log level of all components.
	Verbosity int
}

// ErrConfig is matched by every error about a Config.
var ErrConfig = errors.New("member configuration")

func (c *Config) complete() error {
	if problems := validation.IsDNS1123Label(c.Name); len(problems) > 0 {
		return fmt.Errorf("%w: name %q: %s", ErrConfig, c.Name, problems[0])
	}
	if c.Port < 1 || c.Port > 65535 {
		return fmt.Errorf("%w: member %s: port %d is not a TCP port", ErrConfig, c.Name, c.Port)
	}
	if c.Nodes < 0 {
		return fmt.Errorf("%w: member %s: %d nodes; use 0 or more", ErrConfig, c.Name, c.Nodes)
	}
	// Run changes the working directory.
	for _, path := range []*string{&c.Dir, &c.Kubeconfig, &c.ReadyFile} {
		if *path == "" {
			return fmt.Errorf("%w: member %s: the directory, the kubeconfig and the ready file need a path", ErrConfig, c.Name)
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("%w: member %s: %w", ErrConfig, c.Name, err)
		}
		*path = abs
	}
	return nil
}

// Server is the URL of the member's API.
func (c *Config) Server() string {
	return fmt.Sprintf("https://127.0.0.1:%d", c.Port)
}

func (c *Config) pki(file string) string {
	return filepath.Join(c.Dir, "pki", file)
}
