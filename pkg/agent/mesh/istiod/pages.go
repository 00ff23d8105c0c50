package istiod

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod/wire"
)

// Cluster is a line of clusterz: a cluster that istiod reads endpoints of.
type Cluster struct {
	// ID of the cluster.
	ID string `json:"id"`
	// SecretName is namespace/name of the remote secret; empty for istiod's own cluster.
	SecretName string `json:"secretName"`
	// SyncStatus is synced, syncing, timeout or closed.
	SyncStatus string `json:"syncStatus"`
}

// Synced is the SyncStatus of a cluster whose objects istiod knows.
const Synced = "synced"

// Gateway is a line of networkz: an address through which a network is reached. Host
// names of Services are resolved.
type Gateway struct {
	Network string
	Cluster string
	Addr    string
	Port    uint32
}

// Pod is an endpoint as istiod keeps it, before it is seen from a network.
type Pod struct {
	Addresses       []string
	ServicePortName string
	EndpointPort    uint32
	// Network of the pod.
	Network string
	// TLSMode is istio if the pod speaks the mesh's mTLS.
	TLSMode string
}

// MTLS tells whether the pod speaks the mesh's mTLS, without which no gateway leads to
// it.
func (p *Pod) MTLS() bool { return p.TLSMode == "istio" }

// At are the host:port of the pod.
func (p *Pod) At() []string {
	all := make([]string, 0, len(p.Addresses))
	for _, a := range p.Addresses {
		all = append(all, net.JoinHostPort(a, strconv.FormatUint(uint64(p.EndpointPort), 10)))
	}
	return all
}

// Shards are the pods of a service by cluster.
type Shards struct {
	// Host is the name of the service in the mesh, Namespace its namespace.
	Host, Namespace string
	Pods            map[string][]Pod
}

// Endpoint is where a proxy connects to, as host:port.
type Endpoint string

// ClusterName is what Envoy calls a port of a service.
func ClusterName(host string, port int32) string {
	return "outbound|" + strconv.Itoa(int(port)) + "||" + host
}

// SNI is the name by which a gateway knows a port of a service.
func SNI(host string, port int32) string {
	return "outbound_." + strconv.Itoa(int(port)) + "_._." + host
}

func read[T any](ctx context.Context, s *Session, page string) (value T, err error) {
	data, err := s.page(ctx, page)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, notJSON(page, data, err)
	}
	return value, nil
}

func notJSON(page string, data []byte, err error) error {
	if bytes.HasPrefix(data, []byte("404 ")) {
		return fmt.Errorf("debug page %s: %w: it is not served; does istiod run with ENABLE_DEBUG_ON_HTTP=false?", page, ErrPage)
	}
	return fmt.Errorf("debug page %s: %w: %w", page, ErrPage, err)
}

// Clusters are the clusters that istiod reads.
func (s *Session) Clusters(ctx context.Context) ([]Cluster, error) {
	return read[[]Cluster](ctx, s, "clusterz")
}

// Gateways are those that istiod knows.
func (s *Session) Gateways(ctx context.Context) ([]Gateway, error) {
	return read[[]Gateway](ctx, s, "networkz")
}

// Shards visits all services by host, and returns the size of the page. A service is
// forgotten after its visit: there may be many.
func (s *Session) Shards(ctx context.Context, visit func(Shards)) (size int, err error) {
	const page = "endpointShardz"
	data, err := s.page(ctx, page)
	if err != nil {
		return 0, err
	}
	if err := eachShard(data, visit); err != nil {
		return 0, notJSON(page, data, err)
	}
	return len(data), nil
}

// eachShard reads {"host": {"namespace": {"Shards": {"provider/cluster": [...]}}}}.
func eachShard(data []byte, visit func(Shards)) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		if err == nil && token == nil {
			return nil // null: there is none
		}
		return fmt.Errorf("it begins with %v: %w", token, err)
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		host, _ := token.(string)
		var namespaces map[string]struct{ Shards map[string][]Pod }
		if err := decoder.Decode(&namespaces); err != nil {
			return err
		}
		for namespace, service := range namespaces {
			pods := make(map[string][]Pod, len(service.Shards))
			for shard, list := range service.Shards {
				_, cluster, _ := strings.Cut(shard, "/")
				pods[cluster] = append(pods[cluster], list...)
			}
			visit(Shards{Host: host, Namespace: namespace, Pods: pods})
		}
	}
	return nil
}

func endpointsOf(assignment *wire.Assignment) []Endpoint {
	endpoints := make([]Endpoint, 0, len(assignment.Endpoints))
	for _, e := range assignment.Endpoints {
		endpoints = append(endpoints, Endpoint(net.JoinHostPort(e.Address, strconv.FormatUint(uint64(e.Port), 10))))
	}
	return endpoints
}
