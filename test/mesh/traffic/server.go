package traffic

import (
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
	server  http.Server
	done    sync.WaitGroup
	forget  func()
	address string
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
	s := &Server{address: address, forget: func() { addresses.Remove(network, address) }}
	s.server.ReadHeaderTimeout = 10 * time.Second
	s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(AnsweredBy, name)
		w.Header().Set(CalledBy, spiffe(r.TLS.PeerCertificates[0]))
		_, _ = fmt.Fprintf(w, "hello from %s\n", name)
	})
	// Handshakes that fail are seen by who calls.
	s.server.ErrorLog = silent
	s.done.Go(func() { _ = s.server.Serve(tls.NewListener(listener, identity.server())) })
	return s, nil
}

// Close ends the server, and calls that are on.
func (s *Server) Close() error {
	s.forget()
	err := s.server.Close()
	s.done.Wait()
	return err
}

var silent = log.New(io.Discard, "", 0)
