package wire

import (
	"bytes"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	securityv1alpha1 "istio.io/api/security/v1alpha1"
	"pgregory.net/rapid"
)

var texts = rapid.StringMatching(`[a-zä|_.\-/ ]{0,12}`)

// What is written here is read by the generated code as what was meant.
func TestRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		request := &Request{
			Version: texts.Draw(t, "version"), TypeURL: texts.Draw(t, "type"), Nonce: texts.Draw(t, "nonce"),
			Names: rapid.SliceOfN(texts, 0, 4).Draw(t, "names"),
		}
		want := &discoveryv3.DiscoveryRequest{VersionInfo: request.Version, TypeUrl: request.TypeURL, ResponseNonce: request.Nonce, ResourceNames: request.Names}
		if rapid.Bool().Draw(t, "node") {
			request.Node = &Node{ID: texts.Draw(t, "id"), Metadata: rapid.MapOfN(texts, texts, 0, 4).Draw(t, "metadata")}
			metadata := map[string]any{}
			for key, value := range request.Node.Metadata {
				metadata[key] = value
			}
			fields, err := structpb.NewStruct(metadata)
			require.NoError(t, err)
			want.Node = &corev3.Node{Id: request.Node.ID, Metadata: fields}
		}
		got := &discoveryv3.DiscoveryRequest{}
		require.NoError(t, proto.Unmarshal(request.Marshal(), got))
		require.Truef(t, proto.Equal(want, got), "want %v\ngot  %v", want, got)
	})
}

func TestSignRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		request := &SignRequest{CSR: texts.Draw(t, "csr"), Seconds: rapid.Int64().Draw(t, "seconds")}
		got := &securityv1alpha1.IstioCertificateRequest{}
		require.NoError(t, proto.Unmarshal(request.Marshal(), got))
		want := &securityv1alpha1.IstioCertificateRequest{Csr: request.CSR, ValidityDuration: request.Seconds}
		require.Truef(t, proto.Equal(want, got), "want %v\ngot  %v", want, got)
	})
}

// What the generated code writes is read here as what was meant.
func TestResponse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Response{Version: texts.Draw(t, "version"), TypeURL: texts.Draw(t, "type"), Nonce: texts.Draw(t, "nonce")}
		sent := &discoveryv3.DiscoveryResponse{
			VersionInfo: want.Version, TypeUrl: want.TypeURL, Nonce: want.Nonce,
			Canary: rapid.Bool().Draw(t, "canary"), ControlPlane: &corev3.ControlPlane{Identifier: "not of use"},
		}
		for range rapid.IntRange(0, 3).Draw(t, "resources") {
			resource := Resource{TypeURL: texts.Draw(t, "type of resource"), Value: rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "value")}
			want.Resources = append(want.Resources, resource)
			sent.Resources = append(sent.Resources, &anypb.Any{TypeUrl: resource.TypeURL, Value: resource.Value})
		}
		data, err := proto.Marshal(sent)
		require.NoError(t, err)
		var got Response
		require.NoError(t, got.Unmarshal(data))
		clear(data) // what was read stays
		require.Equal(t, want, got)
	})
}

func TestSignResponse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := SignResponse{Chain: rapid.SliceOfN(texts, 1, 4).Draw(t, "chain")}
		data, err := proto.Marshal(&securityv1alpha1.IstioCertificateResponse{CertChain: want.Chain})
		require.NoError(t, err)
		var got SignResponse
		require.NoError(t, got.Unmarshal(data))
		require.Equal(t, want, got)
	})
}

func socket(address string, port uint32, workload string) *endpointv3.LbEndpoint {
	return &endpointv3.LbEndpoint{
		LoadBalancingWeight: wrapperspb.UInt32(3), HealthStatus: corev3.HealthStatus_HEALTHY, Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			"envoy.transport_socket_match": {Fields: map[string]*structpb.Value{"workload": structpb.NewStringValue("not it")}},
			"istio":                        {Fields: map[string]*structpb.Value{"other": structpb.NewBoolValue(true), "workload": structpb.NewStringValue(workload)}},
		}},
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Hostname: "h", Address: &corev3.Address{
			Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}, Ipv4Compat: true,
			}},
		}}},
	}
}

func TestAssignment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Assignment{Cluster: texts.Draw(t, "cluster")}
		sent := &endpointv3.ClusterLoadAssignment{ClusterName: want.Cluster, Policy: &endpointv3.ClusterLoadAssignment_Policy{}}
		for range rapid.IntRange(0, 3).Draw(t, "localities") {
			locality := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{Region: "r"}, Priority: 1, LoadBalancingWeight: wrapperspb.UInt32(7)}
			for range rapid.IntRange(0, 3).Draw(t, "endpoints") {
				endpoint := Endpoint{Address: texts.Draw(t, "address"), Port: rapid.Uint32Max(65535).Draw(t, "port"), Workload: texts.Draw(t, "workload")}
				want.Endpoints = append(want.Endpoints, endpoint)
				locality.LbEndpoints = append(locality.LbEndpoints, socket(endpoint.Address, endpoint.Port, endpoint.Workload))
			}
			sent.Endpoints = append(sent.Endpoints, locality)
		}
		data, err := proto.Marshal(sent)
		require.NoError(t, err)
		var got Assignment
		require.NoError(t, got.Unmarshal(data))
		require.Equal(t, want, got)
	})
}

func TestAssignmentWithoutSockets(t *testing.T) {
	data, err := proto.Marshal(&endpointv3.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{
		{HostIdentifier: &endpointv3.LbEndpoint_EndpointName{EndpointName: "by name"}},
		{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: &corev3.Address{
			Address: &corev3.Address_EnvoyInternalAddress{EnvoyInternalAddress: &corev3.EnvoyInternalAddress{EndpointId: "within Envoy"}},
		}}}},
		socket("10.0.0.1", 80, "w;n;c;r;eu"),
	}}}})
	require.NoError(t, err)
	var got Assignment
	require.NoError(t, got.Unmarshal(data))
	assert.Equal(t, Assignment{Cluster: "c", Endpoints: []Endpoint{{Address: "10.0.0.1", Port: 80, Workload: "w;n;c;r;eu"}}}, got)
}

// The names of the services and methods are those of the generated code, too.
func TestMethods(t *testing.T) {
	assert.Equal(t, StreamMethod, discoveryv3.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName)
	assert.Equal(t, SignMethod, securityv1alpha1.IstioCertificateService_CreateCertificate_FullMethodName)
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x01, 'x'})
	f.Add(bytes.Repeat([]byte{0x12, 0x7f}, 9))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range []interface{ Unmarshal([]byte) error }{&Response{}, &Assignment{}, &SignResponse{}} {
			if err := m.Unmarshal(data); err != nil {
				assert.ErrorIs(t, err, ErrWire)
			}
		}
		// What the generated code can read is read here.
		if proto.Unmarshal(data, &discoveryv3.DiscoveryResponse{}) == nil {
			assert.NoError(t, (&Response{}).Unmarshal(data))
		}
	})
}
