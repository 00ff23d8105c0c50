package istiod

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/structpb"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	debugType    = "istio.io/debug"
	endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	// proxyName is how istiod's own pages show us.
	proxyName = "flotilla-agent"
	// The addresses are those of documents (RFC 5737, RFC 3849): no pod has them. With
	// both families istiod names gateways of either.
	proxyIP, proxyIPs = "192.0.2.1", "192.0.2.1,2001:db8::1"
)

// Node is the place in the mesh from which a Session looks.
type Node struct {
	// ClusterID and Network of the cluster.
	ClusterID, Network string
	// ServiceAccount whose token is shown.
	ServiceAccount string
}

func (n *Node) proto() (*corev3.Node, error) {
	metadata, err := structpb.NewStruct(map[string]any{
		"CLUSTER_ID": n.ClusterID, "NETWORK": n.Network, "NAMESPACE": meshv1alpha1.IstioNamespace,
		"SERVICE_ACCOUNT": n.ServiceAccount, "NAME": proxyName, "INSTANCE_IPS": proxyIPs,
	})
	if err != nil {
		return nil, err
	}
	const namespace = meshv1alpha1.IstioNamespace
	return &corev3.Node{
		Id:       fmt.Sprintf("router~%s~%s.%s~%s.svc.cluster.local", proxyIP, proxyName, namespace, namespace),
		Metadata: metadata,
	}, nil
}

// Session is an xDS stream.
type Session struct {
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	cancel context.CancelFunc
	node   *corev3.Node // until it was sent
}

// Open opens a stream, which ends with the context life or Close. The context ctx bounds
// how long that takes.
func (c *Client) Open(ctx, life context.Context, node Node) (*Session, error) {
	proto, err := node.proto()
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(life)
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.conn).StreamAggregatedResources(life)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Session{stream: stream, cancel: cancel, node: proto}, nil
}

// Close ends the stream.
func (s *Session) Close() { s.cancel() }

// ask sends a request and returns the first answer that is one to it. The stream ends
// with the context: an answer that comes later would be taken for one to another
// question.
func (s *Session) ask(ctx context.Context, request *discoveryv3.DiscoveryRequest, mine func(*discoveryv3.DiscoveryResponse) bool) (*discoveryv3.DiscoveryResponse, error) {
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	fail := func(err error) error {
		s.cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("istiod does not answer: %w", context.Cause(ctx))
		}
		return err
	}
	if err := s.send(request); err != nil {
		return nil, fail(err)
	}
	for {
		response, err := s.stream.Recv()
		if err != nil {
			return nil, fail(err)
		}
		if mine(response) {
			return response, nil
		}
	}
}

func (s *Session) send(request *discoveryv3.DiscoveryRequest) error {
	request.Node, s.node = s.node, nil
	err := s.stream.Send(request)
	if err == nil {
		return nil
	}
	// Why a stream has ended is what is received from it.
	if _, received := s.stream.Recv(); received != nil {
		return received
	}
	return err
}

// page reads a debug page.
func (s *Session) page(ctx context.Context, name string) ([]byte, error) {
	answer, err := s.ask(ctx, &discoveryv3.DiscoveryRequest{TypeUrl: debugType, ResourceNames: []string{name}},
		func(r *discoveryv3.DiscoveryResponse) bool { return r.TypeUrl == debugType })
	if err != nil {
		return nil, fmt.Errorf("debug page %s: %w", name, err)
	}
	if len(answer.Resources) != 1 {
		return nil, fmt.Errorf("debug page %s: %w: %d resources, want one", name, ErrPage, len(answer.Resources))
	}
	return answer.Resources[0].Value, nil
}

// Endpoints are what a proxy gets for services, by the names of clusters in Envoy's
// sense (ClusterName). What istiod does not know has none.
func (s *Session) Endpoints(ctx context.Context, clusters []string) (map[string][]Endpoint, error) {
	// Pushes to a former subscription came before the answer to any page that was asked
	// for since, so the first answer of this type is ours.
	answer, err := s.ask(ctx, &discoveryv3.DiscoveryRequest{TypeUrl: endpointType, ResourceNames: slices.Clone(clusters)},
		func(r *discoveryv3.DiscoveryResponse) bool { return r.TypeUrl == endpointType })
	if err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	found := make(map[string][]Endpoint, len(clusters))
	for _, resource := range answer.Resources {
		name, endpoints, err := decodeEndpoints(resource)
		if err != nil {
			return nil, fmt.Errorf("endpoints: %w: %w", ErrPage, err)
		}
		found[name] = endpoints
	}
	end := &discoveryv3.DiscoveryRequest{TypeUrl: endpointType, VersionInfo: answer.VersionInfo, ResponseNonce: answer.Nonce}
	if err := s.send(end); err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	return found, nil
}

// ErrPage means that istiod answers something else than expected.
var ErrPage = errors.New("istiod's answer cannot be read")
