package meshlab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// Await looks until there is no error.
func (s *Session) Await(what string, look func() error) {
	s.Helper()
	s.AwaitWithin(MeshPatience, what, look)
}

// AwaitWithin is Await with another patience.
func (s *Session) AwaitWithin(patience time.Duration, what string, look func() error) {
	s.Helper()
	begin := time.Now()
	s.Within(patience, what, func() (string, bool) {
		err := look()
		if err != nil {
			return err.Error(), false
		}
		return "", true
	})
	s.Logf("%8s %s", time.Since(begin).Round(time.Millisecond), what)
}

// Synced waits until clusterz of a member's istiod shows itself and these peers,
// synced, and nobody else.
func (s *Session) Synced(in string, peers ...string) {
	s.Helper()
	s.Await(fmt.Sprintf("clusterz of %s has %v, all synced", in, peers), func() error { return s.SyncedNow(in, peers...) })
}

// SyncedNow says what clusterz of a member's istiod has else.
func (s *Session) SyncedNow(in string, peers ...string) error {
	clusters, err := s.Mesh.Members[in].Istiod.Clusters(s.Context())
	if err != nil {
		return err
	}
	want := slices.Sorted(slices.Values(append(slices.Clone(peers), in)))
	if got := slices.Sorted(maps.Keys(clusters)); !slices.Equal(got, want) {
		return fmt.Errorf("clusterz of %s has %v, want %v", in, got, want)
	}
	for id, c := range clusters {
		if c.SyncStatus != istiolab.Synced {
			return fmt.Errorf("clusterz of %s shows %s as %s", in, id, c.SyncStatus)
		}
		if (c.SecretName == "") != (id == in) {
			return fmt.Errorf("clusterz of %s has %s from secret %q", in, id, c.SecretName)
		}
	}
	return nil
}

// ReadsNow says whether a member's istiod has lost sight of peers: all are in
// clusterz, and endpoints of hello are there for each. While a remote secret changes
// clusterz says syncing, and the endpoints stay.
func (s *Session) ReadsNow(in string, peers ...string) error {
	istiod := s.Mesh.Members[in].Istiod
	clusters, err := istiod.Clusters(s.Context())
	if err != nil {
		return err
	}
	shards, err := istiod.Endpoints(s.Context(), "default", "hello")
	if err != nil {
		return err
	}
	for _, peer := range peers {
		if state := clusters[peer].SyncStatus; state != istiolab.Synced && state != istiolab.Syncing {
			return fmt.Errorf("clusterz of %s shows %s as %q", in, peer, state)
		}
		if len(shards[peer]) == 0 {
			return fmt.Errorf("istiod of %s has no endpoints of %s", in, peer)
		}
	}
	return nil
}

// Gateways waits until networkz of a member's istiod has the gateways of these
// members. It may have others: istiod 1.31 does not let go of a gateway whose
// Service has lost its address, or whose cluster is no longer read.
func (s *Session) Gateways(in string, of ...string) {
	s.Helper()
	s.Await(fmt.Sprintf("networkz of %s has the gateways of %v", in, of), func() error {
		found, err := s.Mesh.Members[in].Istiod.Gateways(s.Context())
		if err != nil {
			return err
		}
		var want, got []string
		for _, name := range of {
			m := s.Mesh.Members[name]
			want = append(want, fmt.Sprintf("%s of %s at %s:%d", m.Network(), name, m.GatewayIP(), traffic.GatewayPort))
		}
		for _, g := range found {
			got = append(got, fmt.Sprintf("%s of %s at %s:%d", g.Network, g.Cluster, g.Addr, g.Port))
		}
		for _, gateway := range want {
			if !slices.Contains(got, gateway) {
				return fmt.Errorf("it has %v, want %s", got, gateway)
			}
		}
		return nil
	})
}

// Network is where the member's pods are.
func (m *Member) Network() string {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	return m.plane.network
}

// Pods are the addresses of the running pods of an app in namespace default, as
// its member itself tells, with a port.
func (m *Member) Pods(ctx context.Context, app string, port int) ([]string, error) {
	list, err := m.Core.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return nil, err
	}
	var addresses []string
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
			return nil, fmt.Errorf("pod %s of %s does not run", pod.Name, m.Name)
		}
		addresses = append(addresses, fmt.Sprintf("%s:%d", pod.Status.PodIP, port))
	}
	return addresses, nil
}

// Shards waits until endpointShardz of a member's istiod has so many endpoints of
// hello by cluster, and no other cluster.
func (s *Session) Shards(in string, want map[string]int) {
	s.Helper()
	s.Await(fmt.Sprintf("endpointShardz of %s has %v", in, want), func() error {
		shards, err := s.Mesh.Members[in].Istiod.Endpoints(s.Context(), "default", "hello")
		if err != nil {
			return err
		}
		got := map[string]int{}
		for cluster, endpoints := range shards {
			if len(endpoints) > 0 {
				got[cluster] = len(endpoints)
			}
			for _, e := range endpoints {
				if network := s.Mesh.Members[cluster].Network(); e.Network != network {
					return fmt.Errorf("an endpoint of %s is in network %q, want %q", cluster, e.Network, network)
				}
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("it has %v", got)
		}
		return nil
	})
}

// HelloEndpoints are the endpoints of hello that a proxy in a member is given.
func (s *Session) HelloEndpoints(in string) ([]ads.Endpoint, error) {
	caller, err := s.Mesh.Members[in].plane.workload(s.Context())
	if err != nil {
		return nil, err
	}
	view, _ := caller.Proxy.View()
	d, ok := view.Destinations[traffic.DestinationName(HelloHost, HelloPort)]
	if !ok || !d.Known {
		return nil, fmt.Errorf("istiod of %s has told no endpoints of hello; connection: %w", in, caller.Proxy.Err())
	}
	return d.Endpoints, nil
}

// Weights waits until EDS of hello in a member is right: the pods of these
// members by their own addresses, with equal weights, and in place of those of
// others their gateway with as many times that as it has pods. Pods are counted in the
// members themselves.
func (s *Session) Weights(in string, direct, byGateway []string) {
	s.Helper()
	s.Await(fmt.Sprintf("EDS in %s has the pods of %v, and gateways for those of %v", in, direct, byGateway), func() error {
		want := map[string]uint32{}
		for _, name := range append(slices.Clone(direct), byGateway...) {
			m := s.Mesh.Members[name]
			pods, err := m.Pods(s.Context(), "hello", HelloTarget)
			if err != nil {
				return err
			}
			for _, address := range pods {
				if slices.Contains(direct, name) {
					want[address]++
				} else {
					want[fmt.Sprintf("%s:%d", m.GatewayIP(), traffic.GatewayPort)]++
				}
			}
		}
		return s.waysNow(in, want)
	})
}

// reduced are the smallest weights in the same proportion: istiod multiplies all of
// them when a network has several gateways.
func reduced(weights map[string]uint32) map[string]uint32 {
	var divisor uint32
	for _, w := range weights {
		for a, b := divisor, w; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	smallest := map[string]uint32{}
	for address, w := range weights {
		smallest[address] = w / max(divisor, 1)
	}
	return smallest
}

func weights(of map[string]uint32) string {
	var b strings.Builder
	for _, address := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&b, "%s=%d ", address, of[address])
	}
	return "{" + strings.TrimSpace(b.String()) + "}"
}
