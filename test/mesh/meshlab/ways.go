package meshlab

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// Ways waits until EDS of hello in a member has these endpoints, host:port, in this
// proportion, and no others.
func (s *Session) Ways(in string, want map[string]uint32) {
	s.Helper()
	s.Await(fmt.Sprintf("EDS in %s has %s", in, weights(want)), func() error { return s.waysNow(in, want) })
}

func (s *Session) waysNow(in string, want map[string]uint32) error {
	endpoints, err := s.HelloEndpoints(in)
	if err != nil {
		return err
	}
	got := map[string]uint32{}
	for _, e := range endpoints {
		if !e.MTLS {
			return fmt.Errorf("%s is without mTLS", e.Address)
		}
		got[e.Address] += e.Weight
	}
	if !maps.Equal(reduced(got), reduced(want)) {
		return fmt.Errorf("it has %s, want %s", weights(got), weights(want))
	}
	return nil
}

// GatewaysOf waits until networkz of a member's istiod has these gateways of another
// member, host:port, and no others of that.
func (s *Session) GatewaysOf(in, of string, want ...string) {
	s.Helper()
	slices.Sort(want)
	s.Await(fmt.Sprintf("networkz of %s has %v for %s", in, want, of), func() error {
		found, err := s.Mesh.Members[in].Istiod.Gateways(s.Context())
		if err != nil {
			return err
		}
		var got []string
		for _, g := range found {
			if g.Cluster != of {
				continue
			}
			if network := s.Mesh.Members[of].Network(); g.Network != network {
				return fmt.Errorf("%s is of network %s, want %s", g.Addr, g.Network, network)
			}
			got = append(got, net.JoinHostPort(g.Addr, strconv.Itoa(int(g.Port))))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("it has %v", got)
		}
		return nil
	})
}

// TellsAddresses waits until a Mesh tells these addresses of a cluster's gateway, host:port.
func (s *Session) TellsAddresses(name, cluster string, want ...string) {
	s.Helper()
	slices.Sort(want)
	s.Becomes(name, fmt.Sprintf("Mesh %s tells addresses %v of %s", name, want, cluster), func(mesh *meshv1alpha1.Mesh) error {
		for i := range mesh.Status.Clusters {
			c := &mesh.Status.Clusters[i]
			if c.Name != cluster {
				continue
			}
			var got []string
			for _, a := range c.GatewayAddresses {
				got = append(got, net.JoinHostPort(a.Address, strconv.Itoa(int(a.Port))))
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				return fmt.Errorf("it tells %v", got)
			}
			return nil
		}
		return fmt.Errorf("it has no cluster %s", cluster)
	})
}
