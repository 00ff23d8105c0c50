package wire

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrWire means that bytes are no message.
var ErrWire = errors.New("not a message")

// Response is an envoy.service.discovery.v3.DiscoveryResponse.
type Response struct {
	Version   string
	Resources []Resource
	TypeURL   string
	Nonce     string
}

// Resource is a google.protobuf.Any.
type Resource struct {
	TypeURL string
	Value   []byte
}

// Unmarshal reads a response.
func (r *Response) Unmarshal(data []byte) error {
	*r = Response{}
	return fields(data, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case 1:
			r.Version = string(value)
		case 2:
			var resource Resource
			if err := resource.unmarshal(value); err != nil {
				return err
			}
			r.Resources = append(r.Resources, resource)
		case 4:
			r.TypeURL = string(value)
		case 5:
			r.Nonce = string(value)
		}
		return nil
	})
}

func (r *Resource) unmarshal(data []byte) error {
	return fields(data, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case 1:
			r.TypeURL = string(value)
		case 2:
			r.Value = bytes.Clone(value)
		}
		return nil
	})
}

// Assignment is an envoy.config.endpoint.v3.ClusterLoadAssignment.
type Assignment struct {
	// Cluster that the endpoints are for.
	Cluster   string
	Endpoints []Endpoint
}

// Endpoint is a socket address of an endpoint.
type Endpoint struct {
	Address string
	Port    uint32
	// Workload is what istiod's metadata says of it:
	// <name>;<namespace>;<canonical name>;<canonical revision>;<cluster>.
	Workload string
}

// Unmarshal reads an assignment. Endpoints that are reached otherwise than by a socket
// address and a number of a port are left out.
func (a *Assignment) Unmarshal(data []byte) error {
	*a = Assignment{}
	return fields(data, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case 1:
			a.Cluster = string(value)
		case 2: // LocalityLbEndpoints
			return each(value, 2, func(data []byte) error {
				endpoint, ok, err := lbEndpoint(data)
				if ok {
					a.Endpoints = append(a.Endpoints, endpoint)
				}
				return err
			})
		}
		return nil
	})
}

// lbEndpoint reads a LbEndpoint; false if it has no socket address.
func lbEndpoint(data []byte) (e Endpoint, ok bool, err error) {
	err = fields(data, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case 1: // Endpoint.address, Address.socket_address
			return nested(value, func(socket []byte) error {
				ok = true
				return e.unmarshal(socket)
			}, 1, 1)
		case 3: // Metadata.filter_metadata["istio"], Struct.fields["workload"], Value.string_value
			return entry(value, "istio", func(fields []byte) error {
				return entry(fields, "workload", func(value []byte) error {
					return each(value, 3, func(text []byte) error { e.Workload = string(text); return nil })
				})
			})
		}
		return nil
	})
	return e, ok, err
}

// entry visits the value of a key of a map that is field 1 of a message.
func entry(data []byte, wanted string, visit func(value []byte) error) error {
	return each(data, 1, func(pair []byte) error {
		var key string
		var found []byte
		err := fields(pair, func(field protowire.Number, value []byte, _ uint64) error {
			switch field {
			case 1:
				key = string(value)
			case 2:
				found = value
			}
			return nil
		})
		if err != nil || key != wanted {
			return err
		}
		return visit(found)
	})
}

func (e *Endpoint) unmarshal(data []byte) error {
	return fields(data, func(field protowire.Number, value []byte, number uint64) error {
		switch field {
		case 2:
			e.Address = string(value)
		case 3:
			e.Port = uint32(number) //nolint:gosec // a port
		}
		return nil
	})
}

// SignResponse is an istio.v1.auth.IstioCertificateResponse.
type SignResponse struct {
	// Chain are certificates in PEM; the last element has the roots.
	Chain []string
}

// Unmarshal reads a response.
func (r *SignResponse) Unmarshal(data []byte) error {
	*r = SignResponse{}
	return each(data, 1, func(value []byte) error {
		r.Chain = append(r.Chain, string(value))
		return nil
	})
}

// fields visits the fields of a message: value is that of strings and messages, number
// that of others.
func fields(data []byte, visit func(field protowire.Number, value []byte, number uint64) error) error {
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrWire, protowire.ParseError(n))
		}
		data = data[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(data)
		default:
			n = protowire.ConsumeFieldValue(field, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w: %w", field, ErrWire, protowire.ParseError(n))
		}
		data = data[n:]
		if err := visit(field, value, number); err != nil {
			return err
		}
	}
	return nil
}

// each visits the values of one field.
func each(data []byte, wanted protowire.Number, visit func(value []byte) error) error {
	return fields(data, func(field protowire.Number, value []byte, _ uint64) error {
		if field != wanted {
			return nil
		}
		return visit(value)
	})
}

// nested visits what is at a path of fields.
func nested(data []byte, visit func(value []byte) error, path ...protowire.Number) error {
	if len(path) == 0 {
		return visit(data)
	}
	return each(data, path[0], func(value []byte) error { return nested(value, visit, path[1:]...) })
}
