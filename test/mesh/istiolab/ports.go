package istiolab

import (
	"fmt"
	"net"
)

// ports are those that istiod listens on, all of 127.0.0.1.
type ports struct {
	// http has the debug pages and /ready.
	http, monitoring int
	// grpc serves xDS in plain text, secureGRPC xDS and the CA over TLS.
	grpc, secureGRPC int
	https            int
}

// freePorts are ports that nobody listens on now.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.http, &p.monitoring, &p.grpc, &p.secureGRPC, &p.https} {
		// All are held until the last is known, so that they differ.
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports{}, fmt.Errorf("a port for istiod: %w", err)
		}
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}
