// Package inmemory connects clients to an HTTP handler in the same process.
//
// The controllers of an all-in-one federation and the API server's own caches
// talk to the API in its normal form, requests, watches, encodings and all, but
// the bytes go through a buffer instead of a TLS socket. HTTP/2 without TLS is
// used on it, so many watches share one connection.
package inmemory

import (
	"context"
	"errors"
	"net"
	"net/http"

	"google.golang.org/grpc/test/bufconn"
	"k8s.io/client-go/rest"
)

// bufferBytes is how much one direction of one connection holds before the
// writer waits for the reader.
const bufferBytes = 64 << 10

// Connection is a listener that only this process can dial.
type Connection struct {
	listener *bufconn.Listener
}

// New makes a connection. Clients may be built from it at once; their requests
// wait until Serve runs.
func New() *Connection {
	return &Connection{listener: bufconn.Listen(bufferBytes)}
}

// Serve answers requests with handler until ctx ends.
func (c *Connection) Serve(ctx context.Context, handler http.Handler) error {
	server := &http.Server{
		Handler:     handler,
		Protocols:   unencryptedHTTP2(),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Config returns a client configuration that dials c and authenticates with
// the bearer token.
func (c *Connection) Config(token, userAgent string) *rest.Config {
	return &rest.Config{
		Host:        "http://in-memory",
		BearerToken: token,
		UserAgent:   userAgent,
		QPS:         -1, // priority and fairness in the server is the limit
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return c.listener.DialContext(ctx) },
			Protocols:          unencryptedHTTP2(),
			DisableCompression: true,
		},
	}
}

func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}
