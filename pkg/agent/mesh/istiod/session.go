package istiod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod/wire"
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

func (n *Node) wire() *wire.Node {
	const namespace = meshv1alpha1.IstioNamespace
	return &wire.Node{
		ID: fmt.Sprintf("router~%s~%s.%s~%s.svc.cluster.local", proxyIP, proxyName, namespace, namespace),
		Metadata: map[string]string{
			"CLUSTER_ID": n.ClusterID, "NETWORK": n.Network, "NAMESPACE": namespace,
			"SERVICE_ACCOUNT": n.ServiceAccount, "NAME": proxyName, "INSTANCE_IPS": proxyIPs,
		},
	}
}

// Session is an xDS stream.
type Session struct {
	stream grpc.ClientStream
	cancel context.CancelFunc
	node   *wire.Node // until it was sent
}

// Open opens a stream, which ends with the context life or Close. The context ctx bounds
// how long that takes.
func (c *Client) Open(ctx, life context.Context, node Node) (*Session, error) {
	life, cancel := context.WithCancel(life)
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	stream, err := c.conn.NewStream(life, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, wire.StreamMethod)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Session{stream: stream, cancel: cancel, node: node.wire()}, nil
}

// Close ends the stream.
func (s *Session) Close() { s.cancel() }

// ask sends a request and returns the first answer that is one to it. The stream ends
// with the context: an answer that comes later would be taken for one to another
// question.
func (s *Session) ask(ctx context.Context, request *wire.Request, mine func(*wire.Response) bool) (*wire.Response, error) {
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
		response := &wire.Response{}
		if err := s.stream.RecvMsg(response); err != nil {
			return nil, fail(err)
		}
		if mine(response) {
			return response, nil
		}
	}
}

func (s *Session) send(request *wire.Request) error {
	request.Node, s.node = s.node, nil
	err := s.stream.SendMsg(request)
	if !errors.Is(err, io.EOF) {
		return err
	}
	// The stream has ended; why is what is received from it.
	for {
		if err := s.stream.RecvMsg(&wire.Response{}); err != nil {
			return err
		}
	}
}

// page reads a debug page.
func (s *Session) page(ctx context.Context, name string) ([]byte, error) {
	answer, err := s.ask(ctx, &wire.Request{TypeURL: debugType, Names: []string{name}},
		func(r *wire.Response) bool { return r.TypeURL == debugType })
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
	answer, err := s.ask(ctx, &wire.Request{TypeURL: endpointType, Names: slices.Clone(clusters)},
		func(r *wire.Response) bool { return r.TypeURL == endpointType })
	if err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	found := make(map[string][]Endpoint, len(clusters))
	for _, resource := range answer.Resources {
		var assignment wire.Assignment
		if err := assignment.Unmarshal(resource.Value); err != nil {
			return nil, fmt.Errorf("endpoints: %w: %w", ErrPage, err)
		}
		found[assignment.Cluster] = endpointsOf(&assignment)
	}
	end := &wire.Request{TypeURL: endpointType, Version: answer.Version, Nonce: answer.Nonce}
	if err := s.send(end); err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	return found, nil
}

// ErrPage means that istiod answers something else than expected.
var ErrPage = errors.New("istiod's answer cannot be read")
