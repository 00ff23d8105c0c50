package wire

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Request is an envoy.service.discovery.v3.DiscoveryRequest.
type Request struct {
	Version string
	// Node is needed in the first request of a stream.
	Node    *Node
	Names   []string
	TypeURL string
	Nonce   string
}

// Node is an envoy.config.core.v3.Node.
type Node struct {
	ID string
	// Metadata has strings only.
	Metadata map[string]string
}

// Marshal writes the request.
func (r *Request) Marshal() []byte {
	var b []byte
	b = text(b, 1, r.Version)
	if r.Node != nil {
		b = message(b, 2, r.Node.marshal())
	}
	for _, name := range r.Names {
		b = message(b, 3, []byte(name)) // an empty one is one, too
	}
	b = text(b, 4, r.TypeURL)
	return text(b, 5, r.Nonce)
}

func (n *Node) marshal() []byte {
	var fields []byte // google.protobuf.Struct
	for _, key := range slices.Sorted(maps.Keys(n.Metadata)) {
		value := message(nil, 3, []byte(n.Metadata[key])) // Value.string_value
		entry := message(text(nil, 1, key), 2, value)
		fields = message(fields, 1, entry)
	}
	return message(text(nil, 1, n.ID), 3, fields)
}

// SignRequest is an istio.v1.auth.IstioCertificateRequest.
type SignRequest struct {
	// CSR in PEM.
	CSR string
	// Seconds that the certificate is to be valid.
	Seconds int64
}

// Marshal writes the request.
func (r *SignRequest) Marshal() []byte {
	b := text(nil, 1, r.CSR)
	if r.Seconds != 0 {
		b = protowire.AppendTag(b, 3, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(r.Seconds)) //nolint:gosec // how negative numbers are written
	}
	return b
}

// text writes a string, unless it is empty.
func text(b []byte, field protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	return message(b, field, []byte(value))
}

func message(b []byte, field protowire.Number, value []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, value)
}
