package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
)

// GatewayPort is where east-west gateways listen.
const GatewayPort = 15443

const (
	helloTimeout = 5 * time.Second
	dialTimeout  = 5 * time.Second
)

// ErrNoPassage says that a gateway does not know where to forward to.
var ErrNoPassage = errors.New("the gateway has no passage")

// Gateway is an east-west gateway.
type Gateway struct {
	proxy     *ads.Client
	addresses *Addresses
	network   string
	// port is the one of the pod, which istiod has a listener for.
	port uint32

	listener net.Listener
	stop     context.CancelFunc
	done     sync.WaitGroup

	forwarded atomic.Int64
	mu        sync.Mutex
	refused   error
}

// ListenLoopback listens on port 15443 of an address of 127.0.0.0/8 that nobody
// uses there.
func ListenLoopback() (net.Listener, error) {
	var err error
	for range 20 {
		ip := net.IPv4(127, byte(1+rand.IntN(250)), byte(rand.IntN(250)), byte(1+rand.IntN(250)))
		var listener net.Listener
		if listener, err = Listen(ip.String()); err == nil {
			return listener, nil
		}
	}
	return nil, fmt.Errorf("an address for a gateway: %w", err)
}

// Listen listens on port 15443 of an address.
func Listen(ip string) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(GatewayPort)))
}

// NewGateway runs a gateway of a network on a listener until Close. The proxy is
// closed by who made it.
func NewGateway(listener net.Listener, proxy *ads.Client, addresses *Addresses, network string) *Gateway {
	return NewGatewayOf(listener, proxy, addresses, network, GatewayPort)
}

// NewGatewayOf is NewGateway for a pod with another port than 15443. The listener may
// have any port: that of a node, or of a load balancer, leads to the pod's.
func NewGatewayOf(listener net.Listener, proxy *ads.Client, addresses *Addresses, network string, port uint32) *Gateway {
	g := &Gateway{proxy: proxy, addresses: addresses, network: network, port: port, listener: listener}
	var ctx context.Context
	ctx, g.stop = context.WithCancel(context.Background())
	g.done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			g.done.Go(func() { g.serve(ctx, conn) })
		}
	})
	return g
}

// Close ends the gateway and all connections through it.
func (g *Gateway) Close() error {
	g.stop()
	err := g.listener.Close()
	g.done.Wait()
	return err
}

// IP is the gateway's address.
func (g *Gateway) IP() string { return g.listener.Addr().(*net.TCPAddr).IP.String() }

// Forwarded counts the connections that went through.
func (g *Gateway) Forwarded() int64 { return g.forwarded.Load() }

// Refused is why the last connection was refused, if one was.
func (g *Gateway) Refused() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

func (g *Gateway) serve(ctx context.Context, downstream net.Conn) {
	end := context.AfterFunc(ctx, func() { _ = downstream.Close() })
	defer end()
	defer func() { _ = downstream.Close() }()
	if err := g.forward(ctx, downstream); err != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.refused = err
	}
}

func (g *Gateway) forward(ctx context.Context, downstream net.Conn) error {
	if err := downstream.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	hello, read, err := readHello(downstream)
	if err != nil {
		return fmt.Errorf("TLS hello: %w", err)
	}
	if err := downstream.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	endpoint, err := g.endpoint(hello.ServerName, hello.SupportedProtos)
	if err != nil {
		return err
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	upstream, err := g.addresses.Dial(dialing, g.network, endpoint.Address)
	if err != nil {
		return err
	}
	end := context.AfterFunc(ctx, func() { _ = upstream.Close() })
	defer end()
	defer func() { _ = upstream.Close() }()
	if _, err := upstream.Write(read); err != nil {
		return err
	}
	g.forwarded.Add(1)
	var back sync.WaitGroup
	back.Go(func() { splice(downstream, upstream) })
	splice(upstream, downstream)
	back.Wait()
	return nil
}

// splice copies until one side is done, and tells the other.
func splice(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// endpoint is where a hello is to go.
func (g *Gateway) endpoint(serverName string, protocols []string) (ads.Endpoint, error) {
	view, _ := g.proxy.View()
	for _, passage := range view.Passages[g.port] {
		if !passage.Matches(serverName, protocols) {
			continue
		}
		if e, ok := choose(view.Destinations[passage.Destination].Endpoints); ok {
			return e, nil
		}
		return ads.Endpoint{}, fmt.Errorf("%w: %s has no endpoints", ErrNoPassage, passage.Destination)
	}
	return ads.Endpoint{}, fmt.Errorf("%w for %q (%v); it has %d", ErrNoPassage, serverName, protocols, len(view.Passages[g.port]))
}

// Passages counts the destinations that istiod lets the gateway forward to.
func (g *Gateway) Passages() int {
	view, _ := g.proxy.View()
	return len(view.Passages[g.port])
}
