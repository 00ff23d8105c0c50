package meshlab

import (
	"maps"
	"slices"
)

// WithholdAddress makes the load balancer of a member give no address, and take
// the one it has given; or give it again.
func (m *Member) WithholdAddress(withhold bool) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	m.plane.silent = withhold
}

// Unplug lets nothing be behind the addresses of the member's gateway; or the gateway
// again.
func (m *Member) Unplug(unplug bool) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	m.plane.unplugged = unplug
}

// UnplugAt lets nothing be behind some of these addresses; or the gateway again, at those
// that are left out.
func (m *Member) UnplugAt(ips ...string) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	m.plane.dead = ips
}

// GatewayIP is the address that the member's load balancer gives; empty when it
// has not given one yet.
func (m *Member) GatewayIP() string {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	return m.plane.ip
}

// listens are the places at which the gateway runs. The plane is locked.
func (p *plane) listens() []string {
	if p.gateway == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(p.gateway.listens))
}
