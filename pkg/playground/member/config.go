package member

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	// PodCIDR is where simulated pods have their addresses; the first is that of
	// simulated nodes. 10.0.0.0/16 if empty.
	PodCIDR string
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
	if c.PodCIDR == "" {
		c.PodCIDR = "10.0.0.0/16"
	}
	pods, err := netip.ParsePrefix(c.PodCIDR)
	if err != nil || !pods.Addr().Is4() || pods != pods.Masked() || pods.Bits() > 24 {
		return fmt.Errorf("%w: member %s: %q is no range of IPv4 addresses for pods; use one like 10.1.0.0/16, of /24 or more", ErrConfig, c.Name, c.PodCIDR)
	}
	if pods.Overlaps(netip.MustParsePrefix(serviceIPs)) {
		return fmt.Errorf("%w: member %s: pods in %s would have addresses of Services (%s)", ErrConfig, c.Name, c.PodCIDR, serviceIPs)
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

// nodeIP is the address of simulated nodes. It has been checked that there is one.
func (c *Config) nodeIP() netip.Addr { return netip.MustParsePrefix(c.PodCIDR).Addr().Next() }

// podPool is where kwok takes addresses of pods from: those after the address in
// it. kwok does not know after a restart which are taken, so it goes on after the
// last of them. If that is at the end it begins anew.
func (c *Config) podPool(taken []netip.Addr) string {
	pods, last := netip.MustParsePrefix(c.PodCIDR), c.nodeIP()
	for _, ip := range taken {
		if pods.Contains(ip) && last.Less(ip) {
			last = ip
		}
	}
	if !pods.Contains(last.Next()) {
		last = c.nodeIP()
	}
	return netip.PrefixFrom(last, pods.Bits()).String()
}

// takesNodes tells whether nodes and pods elsewhere can reach the API.
func (c *Config) takesNodes() bool { return c.Address != loopback }

func (c *Config) pki(file string) string {
	return filepath.Join(c.Dir, "pki", file)
}
