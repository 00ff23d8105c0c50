package istiolab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Cluster is a line of /debug/clusterz: a cluster that istiod reads endpoints of.
type Cluster struct {
	ID string `json:"id"`
	// SecretName is namespace/name of the remote secret; empty for istiod's own
	// cluster.
	SecretName string `json:"secretName"`
	// SyncStatus is synced, syncing, timeout or closed.
	SyncStatus string `json:"syncStatus"`
}

// Synced is the SyncStatus of a cluster whose objects istiod knows.
const Synced = "synced"

// Syncing is the SyncStatus of a cluster that istiod begins to read, or begins to
// read with another remote secret.
const Syncing = "syncing"

// Gateway is a line of /debug/networkz: an address through which a network is
// reached.
type Gateway struct {
	Network string
	Cluster string
	Addr    string
	Port    uint32
}

// Endpoint is an endpoint as istiod keeps it, before it is seen from a network:
// a pod's address, never that of a gateway.
type Endpoint struct {
	Addresses       []string
	ServicePortName string
	EndpointPort    uint32
	// Network is that of the pod, or of its cluster's istio-system.
	Network string
	// TLSMode is istio if the pod speaks the mesh's mTLS.
	TLSMode  string
	Locality struct {
		// Label is region/zone/subzone.
		Label     string
		ClusterID string
	}
	ServiceAccount string
	HealthStatus   int
}

func look[T any](ctx context.Context, i *Istiod, path string) (T, error) {
	var value T
	data, err := i.page(ctx, path)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, fmt.Errorf("%s of istiod of %s: %w", path, i.Cluster, err)
	}
	return value, nil
}

// Clusters are those of /debug/clusterz by their ids; istiod's own is among them.
func (i *Istiod) Clusters(ctx context.Context) (map[string]Cluster, error) {
	list, err := look[[]Cluster](ctx, i, "/debug/clusterz")
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Cluster, len(list))
	for _, c := range list {
		byID[c.ID] = c
	}
	return byID, nil
}

// OwnClusterID is the CLUSTER_ID that istiod runs with.
func (i *Istiod) OwnClusterID(ctx context.Context) (string, error) {
	clusters, err := i.Clusters(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range clusters {
		if c.SecretName == "" {
			return c.ID, nil
		}
	}
	return "", fmt.Errorf("/debug/clusterz of istiod of %s has no cluster without a secret: %v", i.Cluster, clusters)
}

// Gateways are those of /debug/networkz.
func (i *Istiod) Gateways(ctx context.Context) ([]Gateway, error) {
	return look[[]Gateway](ctx, i, "/debug/networkz")
}

// Endpoints are those of a service in /debug/endpointShardz, by cluster.
func (i *Istiod) Endpoints(ctx context.Context, namespace, service string) (map[string][]Endpoint, error) {
	shards, err := look[map[string]map[string]struct{ Shards map[string][]Endpoint }](ctx, i, "/debug/endpointShardz")
	if err != nil {
		return nil, err
	}
	found := map[string][]Endpoint{}
	for shard, endpoints := range shards[HostOf(namespace, service)][namespace].Shards {
		// A shard is called provider/cluster.
		_, cluster, _ := strings.Cut(shard, "/")
		found[cluster] = append(found[cluster], endpoints...)
	}
	return found, nil
}

// HostOf is the name of a service in the mesh.
func HostOf(namespace, service string) string {
	return service + "." + namespace + ".svc.cluster.local"
}

// Proxies are the ids of connected proxies, <pod>.<namespace>.
func (i *Istiod) Proxies(ctx context.Context) ([]string, error) {
	page, err := look[struct {
		Clients []struct {
			ConnectionID string `json:"connectionId"`
		} `json:"clients"`
	}](ctx, i, "/debug/connections")
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, c := range page.Clients {
		// A connection is <proxy>-<counter>.
		if at := strings.LastIndex(c.ConnectionID, "-"); at > 0 {
			ids[c.ConnectionID[:at]] = true
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// Endpointsz is /debug/edsz for a connected proxy: what was sent to it, as JSON.
func (i *Istiod) Endpointsz(ctx context.Context, proxy string) ([]byte, error) {
	return i.page(ctx, "/debug/edsz?proxyID="+proxy)
}

// Version is the version that istiod says it has. It is served beside the
// metrics, to anybody: <version>-<revision>-<status>.
func (i *Istiod) Version(ctx context.Context) (string, error) {
	data, err := i.get(ctx, i.listens().monitoring, "/version")
	return string(data), err
}
