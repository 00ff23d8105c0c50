package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// AnsweredBy and CalledBy are headers of an answer: the server's name, and the
// identity that it was called with.
const (
	AnsweredBy = "X-Answered-By"
	CalledBy   = "X-Called-By"
)

// Server is a pod behind its sidecar: an HTTP server that speaks nothing but the
// mesh's mTLS, and answers with its name.
type Server struct {
	server http.Server
	done   sync.WaitGroup
	forget func()
}

// Serve starts a server under a pod's address (host:port) in a network.
func Serve(name string, identity *Identity, addresses *Addresses, network, address string) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := addresses.Add(network, address, listener.Addr().String()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &Server{forget: func() { addresses.Remove(network, address) }}
	s.server.ReadHeaderTimeout = 10 * time.Second
	s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(AnsweredBy, name)
		caller := r.Context().Value(connKey{}).(hidden).ConnectionState().PeerCertificates[0]
		w.Header().Set(CalledBy, spiffe(caller))
		_, _ = fmt.Fprintf(w, "hello from %s\n", name)
	})
	// Handshakes that fail are seen by who calls.
	s.server.ErrorLog = silent
	s.server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	s.done.Go(func() { _ = s.server.Serve(hiding{tls.NewListener(listener, identity.server())}) })
	return s, nil
}

type connKey struct{}

// hiding is a listener of TLS connections that does not show that they are. An
// http.Server that saw it would refuse the protocol istio, which it does not know.
type hiding struct{ net.Listener }

func (h hiding) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hidden{conn.(*tls.Conn)}, nil
}

// hidden is a TLS connection of another type.
type hidden struct{ *tls.Conn }

// Close ends the server, and calls that are on.
func (s *Server) Close() error {
	s.forget()
	err := s.server.Close()
	s.done.Wait()
	return err
}

var silent = log.New(io.Discard, "", 0)
