package fakeistiod

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	securityv1alpha1 "istio.io/api/security/v1alpha1"
)

const (
	debugType    = "istio.io/debug"
	endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
)

// Answers are what an istiod says.
type Answers struct {
	// Pages by name, such as clusterz. One that is not there is not found.
	Pages map[string]string
	// Endpoints as "host:port" or "host:port cluster" by the name of the cluster in Envoy's sense.
	Endpoints map[string][]string
	// CA signs, with Roots as the bundle; the root of CA if empty.
	CA    *CA
	Roots []*x509.Certificate
	// Hang makes it answer nothing at all, and HangEndpoints no question for endpoints.
	Hang, HangEndpoints bool
	// Refuse makes it refuse every token, and NoCA every request to sign.
	Refuse, NoCA bool
}

// Server is an istiod.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	securityv1alpha1.UnimplementedIstioCertificateServiceServer

	grpc       *grpc.Server
	monitoring *httptest.Server
	listener   net.Listener
	done       sync.WaitGroup
	stop       chan struct{}
	once       sync.Once

	mu      sync.Mutex
	answers Answers
	// Nodes and Tokens that were shown, and how many streams and connections there are.
	nodes   []*corev3.Node
	tokens  []string
	streams int
	asked   map[string]int
	push    []*discoveryv3.DiscoveryResponse
}

// New starts an istiod whose own certificate is from a CA.
func New(own *CA, answers Answers) (*Server, error) {
	cert, err := own.Server("istiod.istio-system.svc")
	if err != nil {
		return nil, err
	}
	s := &Server{answers: answers, stop: make(chan struct{}), asked: map[string]int{}}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, s)
	securityv1alpha1.RegisterIstioCertificateServiceServer(s.grpc, s)
	s.done.Go(func() { _ = s.grpc.Serve(s.listener) })
	s.monitoring = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" || r.Header.Get("Authorization") != "" {
			http.Error(w, "not to be asked that way", http.StatusTeapot)
			return
		}
		_, _ = fmt.Fprint(w, "1.31.1-0123456789abcdef-Clean")
	}))
	return s, nil
}

// Close ends it.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.stop)
		s.grpc.Stop()
		s.monitoring.Close()
		s.done.Wait()
	})
}

// Ports are those of the secure port and of the version, of 127.0.0.1.
func (s *Server) Ports() (secure, monitoring int32) {
	port := func(a net.Addr) int32 { return int32(a.(*net.TCPAddr).Port) } //nolint:gosec // a port
	return port(s.listener.Addr()), port(s.monitoring.Listener.Addr())
}

// Set changes what it says.
func (s *Server) Set(change func(*Answers)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.answers)
}

// Push sends endpoints to the next stream that asks for a page, before its answer, as a
// push that was under way.
func (s *Server) Push(cluster string, endpoints ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push = append(s.push, response(endpointType, "pushed", assignment(cluster, endpoints)))
}

// Seen are the tokens and nodes that were shown.
func (s *Server) Seen() (tokens []string, nodes []*corev3.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens), slices.Clone(s.nodes)
}

// Streams is how many there are now.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// Asked is how often a page, or "CA", was asked for.
func (s *Server) Asked(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

func (s *Server) look(what string) Answers {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[what]++
	return s.answers
}

// admit checks the token as istiod does, or hangs.
func (s *Server) admit(ctx context.Context, what string) (Answers, error) {
	answers := s.look(what)
	if answers.Hang {
		select {
		case <-ctx.Done():
		case <-s.stop:
		}
		return answers, status.Error(codes.Canceled, "hung")
	}
	md, _ := metadata.FromIncomingContext(ctx)
	token, ok := strings.CutPrefix(strings.Join(md.Get("authorization"), ","), "Bearer ")
	if !ok || answers.Refuse {
		return answers, status.Error(codes.Unauthenticated, "authentication failure")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	return answers, nil
}

// CreateCertificate signs as istiod does: the certificate, the chain below the root one by
// one, and the roots as they are.
func (s *Server) CreateCertificate(ctx context.Context, r *securityv1alpha1.IstioCertificateRequest) (*securityv1alpha1.IstioCertificateResponse, error) {
	answers, err := s.admit(ctx, "CA")
	if err != nil {
		return nil, err
	}
	if answers.NoCA {
		return nil, status.Error(codes.Unimplemented, "unknown service istio.v1.auth.IstioCertificateService")
	}
	cert, err := answers.CA.sign(r.Csr)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	roots := answers.Roots
	if len(roots) == 0 {
		roots = []*x509.Certificate{answers.CA.Root}
	}
	return &securityv1alpha1.IstioCertificateResponse{CertChain: []string{cert, PEM(answers.CA.Intermediate) + "\n", PEM(roots...)}}, nil
}

// StreamAggregatedResources answers pages and endpoints.
func (s *Server) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	if _, err := s.admit(stream.Context(), "stream"); err != nil {
		return err
	}
	s.count(1)
	defer s.count(-1)
	first := true
	for nonce := 1; ; nonce++ {
		request, err := stream.Recv()
		if err != nil {
			return nil // it was ended
		}
		if first {
			if request.Node.GetId() == "" {
				return status.Error(codes.InvalidArgument, "missing node information")
			}
			s.mu.Lock()
			s.nodes = append(s.nodes, request.Node)
			s.mu.Unlock()
			first = false
		}
		answers, err := s.answer(stream.Context(), request, fmt.Sprint(nonce))
		if err != nil {
			return err
		}
		for _, a := range answers {
			if err := stream.Send(a); err != nil {
				return err
			}
		}
	}
}

func (s *Server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams += n
}

func (s *Server) answer(ctx context.Context, request *discoveryv3.DiscoveryRequest, nonce string) ([]*discoveryv3.DiscoveryResponse, error) {
	switch {
	case request.TypeUrl == debugType && len(request.ResourceNames) != 1:
		return nil, status.Error(codes.InvalidArgument, "exactly one debug request is required")
	case request.TypeUrl == debugType:
		name := request.ResourceNames[0]
		answers := s.look(name)
		if answers.Hang {
			return nil, s.hang(ctx)
		}
		page, ok := answers.Pages[name]
		if !ok {
			page = "404 page not found\n"
		}
		s.mu.Lock()
		pushed := s.push
		s.push = nil
		s.mu.Unlock()
		return append(pushed, response(debugType, nonce, &anypb.Any{TypeUrl: debugType, Value: []byte(page)})), nil
	case request.TypeUrl == endpointType && len(request.ResourceNames) == 0:
		s.look("unsubscribe")
		return nil, nil
	case request.TypeUrl == endpointType && request.ResponseNonce == "":
		answers := s.look("endpoints")
		if answers.HangEndpoints {
			return nil, s.hang(ctx)
		}
		all := make([]*anypb.Any, 0, len(request.ResourceNames))
		for _, name := range request.ResourceNames {
			all = append(all, assignment(name, answers.Endpoints[name]))
		}
		return []*discoveryv3.DiscoveryResponse{response(endpointType, nonce, all...)}, nil
	}
	return nil, status.Errorf(codes.InvalidArgument, "not served: %v", request)
}

// hang waits until nobody waits for an answer any more.
func (s *Server) hang(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-s.stop:
	}
	return status.Error(codes.Canceled, "hung")
}

func response(kind, nonce string, resources ...*anypb.Any) *discoveryv3.DiscoveryResponse {
	return &discoveryv3.DiscoveryResponse{TypeUrl: kind, VersionInfo: "v" + nonce, Nonce: nonce, Resources: resources}
}

func assignment(cluster string, endpoints []string) *anypb.Any {
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, e := range endpoints {
		at, in, known := strings.Cut(e, " ")
		metadata := &corev3.Metadata{}
		if known {
			metadata.FilterMetadata = map[string]*structpb.Struct{"istio": {Fields: map[string]*structpb.Value{"workload": structpb.NewStringValue("hello;default;hello;;" + in)}}}
		}
		host, text, _ := strings.Cut(at, ":")
		var port uint32
		_, _ = fmt.Sscan(text, &port)
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{Metadata: metadata, HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
			}}},
		}}})
	}
	packed, err := anypb.New(&endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{locality}})
	if err != nil {
		panic(err) // it is a message
	}
	return packed
}
