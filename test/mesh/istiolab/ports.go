package istiolab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// ports are those that istiod listens on, all of 127.0.0.1.
type ports struct {
	// http has the debug pages and /ready.
	http, monitoring int
	// grpc serves xDS in plain text, secureGRPC xDS and the CA over TLS.
	grpc, secureGRPC int
	https            int
}

// Ports are taken from where the system takes none for connections that go out,
// or one of those could have it before istiod does.
const (
	firstPort, lastPort = 20000, 29999
	portTries           = 100
)

var errNoPort = errors.New("no port is free for istiod")

// freePorts are ports that nobody listens on now.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.http, &p.monitoring, &p.grpc, &p.secureGRPC, &p.https} {
		listener, err := listenAnywhere()
		if err != nil {
			return ports{}, err
		}
		// All are held until the last is known, so that they differ.
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func listenAnywhere() (net.Listener, error) {
	var last error
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("%w between %d and %d: %w", errNoPort, firstPort, lastPort, last)
}
