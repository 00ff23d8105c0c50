//go:build linux

package realnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

const (
	// owner begins the names of what the kernel keeps when the test is gone; the
	// process id of the test follows.
	owner = "flotilla-realnode-"

	bridgePrefix = "frn"
	bridges      = 64
)

// bridge is what the nodes of a lab are on.
type bridge struct {
	name string
	// number is the third byte of all addresses.
	number int
}

func (b bridge) address(host int) string { return fmt.Sprintf("10.210.%d.%d", b.number, host) }

func (b bridge) gateway() string { return b.address(1) }

// newBridge makes the first bridge that is not there yet.
func newBridge() (bridge, error) {
	var refused []error
	for number := range bridges {
		b := bridge{name: bridgePrefix + strconv.Itoa(number), number: number}
		if err := run("ip", "link", "add", b.name, "type", "bridge"); err != nil {
			refused = append(refused, err)
			continue
		}
		for _, args := range [][]string{
			{"ip", "link", "set", b.name, "alias", b.alias()},
			{"ip", "address", "add", b.gateway() + "/24", "dev", b.name},
			{"ip", "link", "set", b.name, "up"},
		} {
			if err := run(args...); err != nil {
				return bridge{}, errors.Join(err, b.remove())
			}
		}
		return b, nil
	}
	return bridge{}, fmt.Errorf("no bridge for real nodes: %w", errors.Join(refused...))
}

// alias marks this bridge and what is on it.
func (b bridge) alias() string { return own() + "-" + b.name }

// remove removes the bridge and this machine's ends of the nodes' interfaces.
// Those would vanish with the nodes, but not while the kernel still says goodbye
// for a connection of theirs, which takes minutes.
func (b bridge) remove() error {
	return removeLinks(func(alias string) bool { return alias == b.alias() })
}

// connect makes the interface of a node: eth0, in the namespace of a process.
func (b bridge) connect(host, pid int) error {
	end := fmt.Sprintf("%sv%d", b.name, host)
	for _, args := range [][]string{
		{"ip", "link", "add", end, "type", "veth", "peer", "name", nodeInterface, "netns", strconv.Itoa(pid)},
		{"ip", "link", "set", end, "alias", b.alias()},
		{"ip", "link", "set", end, "master", b.name, "up"},
	} {
		if err := run(args...); err != nil {
			return err
		}
	}
	return nil
}

// removeLinks removes interfaces of this machine by their aliases.
func removeLinks(accept func(alias string) bool) error {
	out, err := exec.Command("ip", "-json", "link", "show").Output()
	if err != nil {
		return fmt.Errorf("list of interfaces: %w", err)
	}
	var list []struct {
		Name  string `json:"ifname"`
		Alias string `json:"ifalias"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("list of interfaces: %w", err)
	}
	var failed []error
	for _, l := range list {
		if !accept(l.Alias) {
			continue
		}
		if err := run("ip", "link", "delete", l.Name); err != nil && !absent("/sys/class/net/"+l.Name) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// stale tells whether a name is that of something whose test is gone.
func stale(name string) bool {
	rest, ours := strings.CutPrefix(name, owner)
	if !ours {
		return false
	}
	digits, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(digits)
	return err == nil && absent("/proc/"+strconv.Itoa(pid))
}
