package traffic

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
)

// ErrNoEndpoint says that istiod names none for a destination, or did not say
// to use mTLS.
var ErrNoEndpoint = errors.New("no endpoint")

// Caller is a workload with its sidecar, in a network.
type Caller struct {
	Proxy     *ads.Client
	Identity  *Identity
	Addresses *Addresses
	Network   string
}

// Answer is what a server said.
type Answer struct {
	// By is the server's name, Via the endpoint that was connected to: a pod or
	// a gateway.
	By  string
	Via ads.Endpoint
	// As is the identity that the server saw.
	As string
}

// DestinationName is what istiod calls a service's port.
func DestinationName(host string, port int) string {
	return "outbound|" + strconv.Itoa(port) + "||" + host
}

// Call sends one request to a service, on a connection of its own, to one of the
// endpoints that istiod names.
func (c *Caller) Call(ctx context.Context, host string, port int) (Answer, error) {
	name := DestinationName(host, port)
	view, _ := c.Proxy.View()
	destination := view.Destinations[name]
	endpoint, ok := choose(destination.Endpoints)
	switch {
	case !ok:
		return Answer{}, fmt.Errorf("%w of %s", ErrNoEndpoint, name)
	case !endpoint.MTLS || destination.SNI == "":
		return Answer{}, fmt.Errorf("%w of %s speaks mTLS: %+v", ErrNoEndpoint, name, endpoint)
	}
	answer, err := c.call(ctx, host, destination, endpoint)
	if err != nil {
		return Answer{}, fmt.Errorf("%s at %s: %w", name, endpoint.Address, err)
	}
	return answer, nil
}

func (c *Caller) call(ctx context.Context, host string, destination ads.Destination, endpoint ads.Endpoint) (Answer, error) {
	raw, err := c.Addresses.Dial(ctx, c.Network, endpoint.Address)
	if err != nil {
		return Answer{}, err
	}
	end := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer end()
	conn := tls.Client(raw, c.Identity.client(destination.SNI, destination.Identities))
	defer func() { _ = conn.Close() }()
	if err := conn.HandshakeContext(ctx); err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return Answer{}, err
	}
	request.Close = true
	if err := request.Write(conn); err != nil {
		return Answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return Answer{}, err
	}
	if response.StatusCode != http.StatusOK {
		return Answer{}, fmt.Errorf("answered %s", response.Status)
	}
	return Answer{By: response.Header.Get(AnsweredBy), As: response.Header.Get(CalledBy), Via: endpoint}, nil
}
