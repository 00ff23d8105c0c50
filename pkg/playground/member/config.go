package member

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation"
)

const loopback = "127.0.0.1"

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
	// Address is the IP address that the API is served on; loopback if empty.
	// On another one real nodes can join: kubelets are users, and pods reach
	// the API by its Service.
	Address string
	// Port is the port of the API server.
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
	if c.Address == "" {
		c.Address = loopback
	}
	if net.ParseIP(c.Address) == nil {
		return fmt.Errorf("%w: member %s: %q is not an IP address", ErrConfig, c.Name, c.Address)
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
	return "https://" + net.JoinHostPort(c.Address, strconv.Itoa(c.Port))
}

// takesNodes tells whether nodes and pods elsewhere can reach the API.
func (c *Config) takesNodes() bool { return c.Address != loopback }

func (c *Config) pki(file string) string {
	return filepath.Join(c.Dir, "pki", file)
}
