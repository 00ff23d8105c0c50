package proof

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// Looked is one port of a service, and what istiod gives to proxies for it.
type Looked struct {
	// Host and Port of the service.
	Host string
	Port int32
	// Endpoints that proxies get.
	Endpoints []istiod.Endpoint
}

// NoService is the reason of a Verdict that had nothing to look at.
const NoService = "NoService"

// Way is how proxies are to reach the pods of a peer.
type Way struct {
	peer string
	flat bool
	// through are the addresses that lead there, gateways all that are any gateway's.
	through, gateways map[string]bool
}

// WayTo says how proxies of a network are to reach a peer, with the gateways that istiod
// knows. A gateway with a host name stands for what istiod has resolved it to.
func WayTo(peer *meshv1alpha1.MemberPeer, network string, known []istiod.Gateway) *Way {
	w := &Way{peer: peer.Name, flat: peer.Network == network, through: map[string]bool{}, gateways: map[string]bool{}}
	names := map[int32]bool{}
	for _, g := range peer.Gateways {
		if isIP(g.Address) {
			w.through[at(g.Address, g.Port)] = true
		} else {
			names[g.Port] = true
		}
	}
	for _, g := range ofPeer(known, peer.Name, peer.Network) {
		if port := int32(g.Port); names[port] { //nolint:gosec // a port
			w.through[at(g.Addr, port)] = true
		}
	}
	for _, g := range known {
		w.gateways[at(g.Addr, int32(g.Port))] = true //nolint:gosec // a port
	}
	return w
}

func at(host string, port int32) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }

// Tells says whether endpoints of a service have something of the peer: its gateways or
// pods.
func (w *Way) Tells(endpoints []istiod.Endpoint) bool {
	return slices.ContainsFunc(endpoints, func(e istiod.Endpoint) bool { return w.right(e) || w.raw(e) || w.stale(e) })
}

// right says whether an endpoint leads to the peer as it is to.
func (w *Way) right(e istiod.Endpoint) bool {
	if w.flat {
		return e.Cluster == w.peer && !w.gateways[e.Address]
	}
	return w.through[e.Address]
}

// raw says whether an endpoint is a pod of the peer that is not reached.
func (w *Way) raw(e istiod.Endpoint) bool {
	return !w.flat && e.Cluster == w.peer && !w.through[e.Address] && !w.gateways[e.Address]
}

// stale says whether an endpoint is a gateway of the peer that it no longer has.
func (w *Way) stale(e istiod.Endpoint) bool {
	return !w.flat && e.Cluster == w.peer && !w.through[e.Address] && w.gateways[e.Address]
}

// Endpoints says whether proxies of this cluster reach pods of a peer as they should:
// through its gateways, and never by the pods' own addresses; or directly, when both are
// in one network. A service without endpoints of the peer says nothing: it may have no
// pods there that are ready, or be kept within its cluster.
func Endpoints(looked []Looked, way *Way) Verdict {
	var seen bool
	var unknown string
	for i := range looked {
		l := &looked[i]
		for _, e := range l.Endpoints {
			service := fmt.Sprintf("%s:%d", l.Host, l.Port)
			switch {
			case way.raw(e):
				return failed("PodAddresses", "proxies get addresses of pods of that cluster for %s, which they do not reach from another network; is the label of the network on istio-system in both clusters, and the gateway known?", service)
			case way.stale(e):
				return failed("OldGateway", "proxies get %s for %s, which is not a gateway of that cluster any more; restart istiod if that stays so", e.Address, service)
			case way.right(e):
				seen = true
			case e.Cluster == "" && !way.gateways[e.Address]:
				unknown = service
			}
		}
	}
	switch {
	case unknown != "" && !way.flat:
		return failed("ClusterNotTold", "istiod does not tell which cluster the endpoints of %s are in, so pods of that cluster cannot be told from others; does it run with PILOT_ENDPOINT_TELEMETRY_LABEL=false?", unknown)
	case seen:
		return Verdict{Passed: true}
	default:
		return Verdict{Passed: true, Reason: NoService, Message: "no service of this cluster has pods of the mesh in that cluster, as far as was looked"}
	}
}

// First of several verdicts about the same: the first that has not passed, or else the
// first. What is said is of how many istiods, where there are several.
func First(verdicts []Verdict) Verdict {
	bad := 0
	var first *Verdict
	for i := range verdicts {
		if verdicts[i].Passed {
			continue
		}
		if bad++; first == nil {
			first = &verdicts[i]
		}
	}
	if first == nil {
		return verdicts[0]
	}
	if len(verdicts) > 1 {
		return failed(first.Reason, "%s (%d of %d istiods)", strings.TrimSuffix(first.Message, "."), bad, len(verdicts))
	}
	return *first
}
