package playground

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"sync"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

// stateKind marks a directory as made by a playground. Nothing is ever
// removed from a directory without it.
const stateKind = "FlotillaPlayground"

var (
	// ErrNotOurs says that a directory was not made by a playground.
	ErrNotOurs = errors.New("not a playground's directory")
	// ErrMode says that the directory was made with the other mode.
	ErrMode = errors.New("the mode of a playground cannot be changed")
	// errNoPods says that all ranges of addresses for pods are in use.
	errNoPods = errors.New("no range of addresses for pods")
)

// state is what has to be the same at the next start.
type state struct {
	mu   sync.Mutex
	file string

	Kind string `json:"kind"`
	Mode Mode   `json:"mode"`
	// Ports are the loopback ports by the name of the child that serves.
	Ports map[string]int `json:"ports"`
	// Pods are the addresses of pods by the name of the member.
	Pods map[string]netip.Prefix `json:"pods,omitempty"`
}

// openState reads the state in a directory, or makes it. The caller holds the
// lock and has called checkDir.
func openState(l layout, mode Mode) (*state, error) {
	s, err := readState(l)
	if errors.Is(err, fs.ErrNotExist) {
		return newState(l, mode)
	}
	if err != nil {
		return nil, err
	}
	if s.Mode != mode {
		return nil, fmt.Errorf("%w: %s was made with --mode %s; start it so, use another --dir, or remove it with: make playground-clean",
			ErrMode, l, s.Mode)
	}
	return s, nil
}

func readState(l layout) (*state, error) {
	data, err := os.ReadFile(l.state())
	if err != nil {
		return nil, err
	}
	s := &state{file: l.state()}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotOurs, l.state(), err)
	}
	if s.Kind != stateKind {
		return nil, fmt.Errorf("%w: %s has kind %q instead of %q", ErrNotOurs, l.state(), s.Kind, stateKind)
	}
	if s.Ports == nil {
		s.Ports = map[string]int{}
	}
	return s, nil
}

// checkDir tells whether a playground may use a directory: it is one's
// already, or absent, or empty. It changes nothing.
func checkDir(l layout) error {
	if _, err := readState(l); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := entryNames(string(l))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		if l.path(name) != l.lock() {
			return fmt.Errorf("%w: %s has other things in it (%s); name an empty or new directory with --dir",
				ErrNotOurs, l, name)
		}
	}
	return nil
}

func newState(l layout, mode Mode) (*state, error) {
	s := &state{file: l.state(), Kind: stateKind, Mode: mode, Ports: map[string]int{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.save()
}

// save needs the lock.
func (s *state) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = pki.WriteFile(s.file, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("playground state: %w", err)
	}
	return nil
}

// podCIDR returns where the pods of a member have their addresses: where they
// always had them, else a range of its own, which is remembered. So pods of several
// members can be told apart by address, as in one network.
func (s *state) podCIDR(member string) (netip.Prefix, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cidr, ok := s.Pods[member]; ok {
		return cidr, nil
	}
	taken := map[netip.Prefix]bool{}
	for _, cidr := range s.Pods {
		taken[cidr] = true
	}
	// 10.0 is where members had their pods before they had ranges of their own.
	for i := byte(1); i > 0; i++ {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i, 0, 0}), 16)
		if i == servicesAt || taken[cidr] {
			continue
		}
		if s.Pods == nil {
			s.Pods = map[string]netip.Prefix{}
		}
		s.Pods[member] = cidr
		return cidr, s.save()
	}
	return netip.Prefix{}, fmt.Errorf("%w: member %s: all %d are given to members that this playground has had; use another --dir",
		errNoPods, member, len(s.Pods))
}

// servicesAt: 10.96.0.0/16 is where all members have their Services.
const servicesAt = 96

// port returns the port of a child: the one that it always had if that is
// free, else another one, which is remembered. It reports a change of a port
// that had been given before.
func (s *state) port(child string) (port int, changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.Ports[child]
	taken := map[int]bool{}
	for other, port := range s.Ports {
		taken[port] = other != child
	}
	port, err = choosePort(s.file+"/"+child, before, func(port int) bool { return !taken[port] && portFree(port) })
	if err != nil || port == before {
		return port, false, err
	}
	s.Ports[child] = port
	return port, before != 0, s.save()
}
