package proof

import (
	"slices"
	"strings"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// maxServices bounds what is remembered of a peer. Some of them may turn out not to be
// of use.
const maxServices = 20

// Service is one with pods in a peer that speak mTLS.
type Service struct {
	// Host is its name in the mesh; Namespace and Name are those of the object.
	Host, Namespace, Name string
	// Ports has the pods by the name of the Service's port.
	Ports map[string]Pods
}

// Pods are those of one port of a service, as host:port, and how often each is there.
type Pods struct {
	// Peer are those of the peer with mTLS.
	Peer map[string]int
	// Direct are those that are reached directly: of the own network, in all clusters
	// but the peer. Networks apart may use the same addresses.
	Direct map[string]int
}

// Services collects services of peers out of istiod's shards.
type Services struct {
	// Network is the own one.
	Network string
	// Peers are the clusters to collect for.
	Peers []string

	byPeer map[string][]Service
}

// Visit takes a service in.
func (s *Services) Visit(shards istiod.Shards) {
	name, _, ok := strings.Cut(shards.Host, "."+shards.Namespace+".svc.")
	if !ok || shards.Namespace == "kube-system" {
		return // not one of a Kubernetes Service, or one that Istio keeps within a cluster
	}
	for _, peer := range s.Peers {
		service := Service{Host: shards.Host, Namespace: shards.Namespace, Name: name, Ports: map[string]Pods{}}
		pods := shards.Pods[peer]
		for i := range pods {
			if pods[i].MTLS() {
				service.port(pods[i].ServicePortName).add(pods[i].At(), true)
			}
		}
		if len(service.Ports) == 0 {
			continue
		}
		for cluster, pods := range shards.Pods {
			for i := range pods {
				if cluster != peer && pods[i].Network == s.Network {
					service.port(pods[i].ServicePortName).add(pods[i].At(), false)
				}
			}
		}
		if s.byPeer == nil {
			s.byPeer = map[string][]Service{}
		}
		s.byPeer[peer] = append(s.byPeer[peer], service)
		if len(s.byPeer[peer]) > 2*maxServices {
			s.byPeer[peer] = best(s.byPeer[peer])
		}
	}
}

// Of are the services of a peer, those that are most telling first.
func (s *Services) Of(peer string) []Service { return best(s.byPeer[peer]) }

// best keeps the first of them: those of users before those of Istio, by name.
func best(services []Service) []Service {
	rank := func(s Service) string {
		if s.Namespace == "istio-system" {
			return "1" + s.Host
		}
		return "0" + s.Host
	}
	slices.SortFunc(services, func(a, b Service) int { return strings.Compare(rank(a), rank(b)) })
	return services[:min(len(services), maxServices)]
}

func (s *Service) port(name string) *Pods {
	if _, ok := s.Ports[name]; !ok {
		s.Ports[name] = Pods{Peer: map[string]int{}, Direct: map[string]int{}}
	}
	p := s.Ports[name]
	return &p
}

func (p *Pods) add(addresses []string, peer bool) {
	for _, a := range addresses {
		if peer {
			p.Peer[a]++
		} else {
			p.Direct[a]++
		}
	}
}
