package proof

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// Gateways says whether istiod knows all gateways of a peer. A gateway with a host
// name is shown with the addresses that istiod has resolved it to, so it counts as
// known when there is an address that no other gateway of the peer has.
func Gateways(known []istiod.Gateway, peer, network string, wanted []meshv1alpha1.GatewayAddress) Verdict {
	have := map[meshv1alpha1.GatewayAddress]bool{}
	for _, g := range ofPeer(known, peer, network) {
		have[meshv1alpha1.GatewayAddress{Address: g.Addr, Port: int32(g.Port)}] = true //nolint:gosec // a port
	}
	var missing []string
	var names []meshv1alpha1.GatewayAddress
	for _, w := range wanted {
		switch {
		case have[w]:
			delete(have, w)
		case isIP(w.Address):
			missing = append(missing, text(w))
		default:
			names = append(names, w)
		}
	}
	for _, w := range names {
		if !takeResolved(have, w.Port) {
			missing = append(missing, text(w)+" (which it may not have resolved)")
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return failed("GatewayNotKnown", "istiod does not know %s as gateway of network %s, so it sends requests elsewhere; restart istiod if that stays so", strings.Join(missing, ", "), network)
	}
	return Verdict{Passed: true}
}

// takeResolved says whether there is an address with that port. It is left there:
// several names may lead to it.
func takeResolved(have map[meshv1alpha1.GatewayAddress]bool, port int32) bool {
	for g := range have {
		if g.Port == port {
			return true
		}
	}
	return false
}

// ofPeer are the gateways that lead to a peer: its own, or else all of its network, as
// istiod chooses them.
func ofPeer(known []istiod.Gateway, peer, network string) []istiod.Gateway {
	var own, all []istiod.Gateway
	for _, g := range known {
		if g.Network != network {
			continue
		}
		all = append(all, g)
		if g.Cluster == peer {
			own = append(own, g)
		}
	}
	if len(own) > 0 {
		return own
	}
	return all
}

func isIP(address string) bool {
	_, err := netip.ParseAddr(address)
	return err == nil
}

func text(g meshv1alpha1.GatewayAddress) string { return fmt.Sprintf("%s:%d", g.Address, g.Port) }
