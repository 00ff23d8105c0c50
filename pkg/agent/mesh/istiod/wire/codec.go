package wire

import "fmt"

// Codec lets gRPC send and receive messages of this package.
type Codec struct{}

// Marshal implements encoding.Codec.
func (Codec) Marshal(v any) ([]byte, error) {
	m, ok := v.(interface{ Marshal() []byte })
	if !ok {
		return nil, fmt.Errorf("%w: %T cannot be written", ErrWire, v)
	}
	return m.Marshal(), nil
}

// Unmarshal implements encoding.Codec.
func (Codec) Unmarshal(data []byte, v any) error {
	m, ok := v.(interface{ Unmarshal([]byte) error })
	if !ok {
		return fmt.Errorf("%w: %T cannot be read", ErrWire, v)
	}
	return m.Unmarshal(data)
}

// Name implements encoding.Codec. What is sent is what any other code would send.
func (Codec) Name() string { return "proto" }

// Methods of istiod.
const (
	// StreamMethod is Envoy's aggregated discovery service; a stream of Request and Response.
	StreamMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	// SignMethod is Istio's certificate service; it takes a SignRequest and returns a
	// SignResponse.
	SignMethod = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
)
