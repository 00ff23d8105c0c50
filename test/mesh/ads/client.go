package ads

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

const (
	prefix        = "type.googleapis.com/envoy.config."
	clusterType   = prefix + "cluster.v3.Cluster"
	endpointType  = prefix + "endpoint.v3.ClusterLoadAssignment"
	listenerType  = prefix + "listener.v3.Listener"
	firstRetry    = 100 * time.Millisecond
	slowestRetry  = 5 * time.Second
	stableSession = 10 * time.Second
)

// Dialer makes a connection to an istiod, wherever it is now.
type Dialer func(context.Context) (*grpc.ClientConn, error)

// Client is a proxy that is connected to istiod.
type Client struct {
	dial Dialer
	node *corev3.Node

	stop context.CancelFunc
	done sync.WaitGroup

	mu sync.Mutex
	// What was sent, by name. Clusters of other types than EDS are left out.
	clusters  map[string]Destination
	endpoints map[string][]Endpoint
	passages  map[uint32][]Passage
	lastError error
	changed   chan struct{}
}

// Connect connects a proxy until Close. It does not wait for anything.
func Connect(ctx context.Context, node Node, dial Dialer) (*Client, error) {
	proto, err := node.proto()
	if err != nil {
		return nil, err
	}
	c := &Client{
		dial: dial, node: proto, changed: make(chan struct{}),
		clusters: map[string]Destination{}, endpoints: map[string][]Endpoint{}, passages: map[uint32][]Passage{},
	}
	ctx, c.stop = context.WithCancel(ctx)
	c.done.Go(func() { c.run(ctx) })
	return c, nil
}

// Close disconnects.
func (c *Client) Close() {
	c.stop()
	c.done.Wait()
}

// View is what is known now, and a channel that is closed when that changes.
func (c *Client) View() (View, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := View{Destinations: make(map[string]Destination, len(c.clusters)), Passages: maps.Clone(c.passages)}
	for name, d := range c.clusters {
		d.Endpoints, d.Known = c.endpoints[name]
		v.Destinations[name] = d
	}
	return v, c.changed
}

// Err is why the last connection ended; nil while there is one.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastError
}

// Await waits until the view is right.
func (c *Client) Await(ctx context.Context, right func(View) bool) (View, error) {
	for {
		v, changed := c.View()
		if right(v) {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return v, fmt.Errorf("proxy %s: %w; istiod's connection: %w", c.node.Id, ctx.Err(), c.Err())
		}
	}
}

func (c *Client) run(ctx context.Context) {
	delay := firstRetry
	for {
		begin := time.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		c.lastError = err
		c.mu.Unlock()
		if time.Since(begin) > stableSession {
			delay = firstRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		delay = min(2*delay, slowestRetry)
	}
}

func (c *Client) session(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		return err
	}
	for _, kind := range []string{clusterType, listenerType} {
		if err := s.Send(&discoveryv3.DiscoveryRequest{Node: c.node, TypeUrl: kind}); err != nil {
			return err
		}
	}
	names, asked := []string(nil), false
	for {
		response, err := s.Recv()
		if err != nil {
			return err
		}
		if err := c.take(response); err != nil {
			return err
		}
		ack := &discoveryv3.DiscoveryRequest{
			TypeUrl: response.TypeUrl, VersionInfo: response.VersionInfo, ResponseNonce: response.Nonce,
		}
		if response.TypeUrl == endpointType {
			ack.ResourceNames = names
		}
		if err := s.Send(ack); err != nil {
			return err
		}
		if response.TypeUrl != clusterType {
			continue
		}
		if wanted := c.names(); !asked || !slices.Equal(wanted, names) {
			names, asked = wanted, true
			if err := s.Send(&discoveryv3.DiscoveryRequest{TypeUrl: endpointType, ResourceNames: names}); err != nil {
				return err
			}
		}
	}
}

func (c *Client) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.clusters))
}

// take remembers what a response says. Clusters and listeners are sent whole;
// endpoints only of what changed.
func (c *Client) take(response *discoveryv3.DiscoveryResponse) error {
	clusters, passages, endpoints := map[string]Destination{}, map[uint32][]Passage{}, map[string][]Endpoint{}
	for _, resource := range response.Resources {
		switch response.TypeUrl {
		case clusterType:
			cluster := &clusterv3.Cluster{}
			if err := resource.UnmarshalTo(cluster); err != nil {
				return err
			}
			if cluster.GetType() != clusterv3.Cluster_EDS {
				continue
			}
			d, err := destinationOf(cluster)
			if err != nil {
				return err
			}
			clusters[cluster.Name] = d
		case listenerType:
			listener := &listenerv3.Listener{}
			if err := resource.UnmarshalTo(listener); err != nil {
				return err
			}
			port, found, err := passagesOf(listener)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				passages[port] = append(passages[port], found...)
			}
		case endpointType:
			assignment := &endpointv3.ClusterLoadAssignment{}
			if err := resource.UnmarshalTo(assignment); err != nil {
				return err
			}
			endpoints[assignment.ClusterName] = endpointsOf(assignment)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastError = nil
	switch response.TypeUrl {
	case clusterType:
		c.clusters = clusters
		maps.DeleteFunc(c.endpoints, func(name string, _ []Endpoint) bool { _, ok := clusters[name]; return !ok })
	case listenerType:
		c.passages = passages
	case endpointType:
		maps.Copy(c.endpoints, endpoints)
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}
