package ads

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// View is what a proxy was told.
type View struct {
	// Destinations by the name of their cluster in Envoy's sense, such as
	// outbound|80||hello.default.svc.cluster.local.
	Destinations map[string]Destination
	// Passages are the chains of listeners that choose by SNI, by listening port.
	Passages map[uint32][]Passage
}

// Destination is a service's port as a proxy is to call it.
type Destination struct {
	// SNI, and the identities of which the server has to have one. Empty when
	// istiod did not say to use mTLS.
	SNI        string
	Identities []string
	// Known is true once istiod has sent endpoints, even none.
	Known     bool
	Endpoints []Endpoint
}

// Endpoint is where to connect to.
type Endpoint struct {
	// Address is host:port.
	Address string
	// Weight of the endpoint among all of its destination.
	Weight uint32
	// MTLS says that the other side speaks the mesh's mTLS.
	MTLS bool
	// Priority is 0 for those that are used while they are healthy.
	Priority uint32
	Locality string
}

// Passage forwards a TLS connection without ending it.
type Passage struct {
	ServerNames, ALPN []string
	// Destination is where to.
	Destination string
}

// Matches tells whether a client's hello may use the passage.
func (p *Passage) Matches(serverName string, alpn []string) bool {
	if !slices.Contains(p.ServerNames, serverName) {
		return false
	}
	return len(p.ALPN) == 0 || slices.ContainsFunc(alpn, func(name string) bool { return slices.Contains(p.ALPN, name) })
}

// mtlsMatch is the name of the transport socket for endpoints with mTLS.
const mtlsMatch = "tlsMode-istio"

func destinationOf(c *clusterv3.Cluster) (Destination, error) {
	socket := c.TransportSocket
	for _, match := range c.TransportSocketMatches {
		if match.Name == mtlsMatch {
			socket = match.TransportSocket
		}
	}
	if socket.GetTypedConfig() == nil {
		return Destination{}, nil
	}
	upstream := &tlsv3.UpstreamTlsContext{}
	if !socket.GetTypedConfig().MessageIs(upstream) {
		return Destination{}, nil
	}
	if err := socket.GetTypedConfig().UnmarshalTo(upstream); err != nil {
		return Destination{}, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	d := Destination{SNI: upstream.Sni}
	for _, match := range upstream.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames() {
		if exact := match.GetMatcher().GetExact(); exact != "" {
			d.Identities = append(d.Identities, exact)
		}
	}
	return d, nil
}

func endpointsOf(assignment *endpointv3.ClusterLoadAssignment) []Endpoint {
	var found []Endpoint
	for _, locality := range assignment.Endpoints {
		l := locality.GetLocality()
		name := l.GetRegion() + "/" + l.GetZone() + "/" + l.GetSubZone()
		for _, e := range locality.LbEndpoints {
			socket := e.GetEndpoint().GetAddress().GetSocketAddress()
			found = append(found, Endpoint{
				Address:  net.JoinHostPort(socket.GetAddress(), strconv.FormatUint(uint64(socket.GetPortValue()), 10)),
				Weight:   max(e.GetLoadBalancingWeight().GetValue(), 1),
				MTLS:     e.GetMetadata().GetFilterMetadata()["envoy.transport_socket_match"].GetFields()["tlsMode"].GetStringValue() == "istio",
				Priority: locality.Priority,
				Locality: name,
			})
		}
	}
	return found
}

func passagesOf(l *listenerv3.Listener) (port uint32, passages []Passage, err error) {
	port = l.GetAddress().GetSocketAddress().GetPortValue()
	for _, chain := range l.FilterChains {
		names := chain.GetFilterChainMatch().GetServerNames()
		for _, filter := range chain.Filters {
			proxy := &tcpproxyv3.TcpProxy{}
			if len(names) == 0 || !filter.GetTypedConfig().MessageIs(proxy) {
				continue
			}
			if err := filter.GetTypedConfig().UnmarshalTo(proxy); err != nil {
				return 0, nil, fmt.Errorf("listener %s: %w", l.Name, err)
			}
			passages = append(passages, Passage{
				ServerNames: names,
				ALPN:        chain.GetFilterChainMatch().GetApplicationProtocols(),
				Destination: proxy.GetCluster(),
			})
		}
	}
	return port, passages, nil
}
