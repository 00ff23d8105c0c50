package proof

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// Looked is one port of a service, and what istiod gives to proxies for it.
type Looked struct {
	// Host and Port of the service.
	Host string
	Port int32
	// Pods of it.
	Pods Pods
	// Endpoints that proxies get.
	Endpoints []istiod.Endpoint
}

// NoService is the reason of a Verdict that had nothing to look at.
const NoService = "NoService"

// Endpoints says whether proxies of this cluster reach pods of a peer as they should:
// through its gateways, and never by the pods' own addresses; or directly, when both
// are in one network. One service that is right is enough if none is wrong: istiod may
// have been told to keep a service within its cluster.
func Endpoints(looked []Looked, peer, network string, flat bool, gateways []istiod.Gateway) Verdict {
	if len(looked) == 0 {
		return Verdict{Passed: true, Reason: NoService, Message: "there is no service yet with pods of the mesh in that cluster that exists here, too"}
	}
	through := map[istiod.Endpoint]bool{}
	for _, g := range ofPeer(gateways, peer, network) {
		through[istiod.Endpoint(net.JoinHostPort(g.Addr, strconv.FormatUint(uint64(g.Port), 10)))] = true
	}
	var right bool
	var without []string
	for i := range looked {
		l := &looked[i]
		raw := l.raw()
		switch {
		case flat && len(raw) == 0, !flat && len(raw) == 0 && !slices.ContainsFunc(l.Endpoints, func(e istiod.Endpoint) bool { return through[e] }):
			without = append(without, fmt.Sprintf("%s:%d", l.Host, l.Port))
		case !flat && len(raw) > 0:
			return failed("PodAddresses", "proxies get addresses of pods in network %s for %s:%d (%s), which they do not reach; is the label of the network on istio-system in both clusters, and the gateway known?", network, l.Host, l.Port, raw[0])
		default:
			right = true
		}
	}
	switch {
	case right:
		return Verdict{Passed: true}
	case flat:
		return failed("NoPods", "proxies get none of the pods of that cluster for %s", strings.Join(without, ", "))
	default:
		return failed("NoGateway", "proxies get neither a gateway nor pods of that cluster for %s", strings.Join(without, ", "))
	}
}

// raw are the addresses of the peer's own pods among the endpoints, in order. Pods
// elsewhere may have the same addresses, so what counts is that there are more than
// these explain.
func (l *Looked) raw() []string {
	count := map[string]int{}
	for _, e := range l.Endpoints {
		count[string(e)]++
	}
	var raw []string
	for address := range l.Pods.Peer {
		if count[address] > l.Pods.Direct[address] {
			raw = append(raw, address)
		}
	}
	slices.Sort(raw)
	return raw
}
