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

// Endpoint is where a proxy connects to.
type Endpoint struct {
	// Address is host:port.
	Address string
	// Cluster that it is in; empty when istiod does not say.
	Cluster string
}

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

func endpointsOf(assignment *wire.Assignment) []Endpoint {
	endpoints := make([]Endpoint, 0, len(assignment.Endpoints))
	for _, e := range assignment.Endpoints {
		cluster := ""
		if at := strings.LastIndex(e.Workload, ";"); at >= 0 {
			cluster = e.Workload[at+1:]
		}
		endpoints = append(endpoints, Endpoint{Address: net.JoinHostPort(e.Address, strconv.FormatUint(uint64(e.Port), 10)), Cluster: cluster})
	}
	return endpoints
}
