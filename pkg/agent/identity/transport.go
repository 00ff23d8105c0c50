package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/util/connrotation"
)

// transport is an HTTP transport that can close what it has open.
type transport struct {
	*http.Transport
	dialer *connrotation.Dialer
}

// tlsConfig is for a server that has a certificate of these roots.
func tlsConfig(roots *x509.CertPool, now func() time.Time, certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: certificates, Time: now}
}

func newTransport(config *tls.Config) *transport {
	dialer := connrotation.NewDialer((&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext)
	return &transport{
		Transport: utilnet.SetTransportDefaults(&http.Transport{TLSClientConfig: config, DialContext: dialer.DialContext, MaxIdleConnsPerHost: 25}),
		dialer:    dialer,
	}
}

// close ends requests that are under way, too.
func (t *transport) close() {
	t.CloseIdleConnections()
	t.dialer.CloseAll()
}

// ErrWaiting means that there is no certificate yet.
var ErrWaiting = errors.New("no certificate for the federation yet")

// roundTripper sends requests with the credential that is current. While there is none they wait.
type roundTripper struct {
	// heard is told the status and the date (zero if unknown) of each answer to the credential.
	heard func(c *credential, status int, date time.Time)
	// failed is told why a request had no answer.
	failed func(err error)
	// trouble is why there is no credential, for errors.
	trouble func() error

	mu      sync.Mutex
	current *credential
	via     *transport
	changed chan struct{} // closed when current changes
}

var _ http.RoundTripper = &roundTripper{}

// use switches to a credential and returns the transport that was in use, if there was one.
func (r *roundTripper) use(c *credential, roots *x509.CertPool, now func() time.Time) (before *transport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.via
	r.current = c
	r.via = newTransport(tlsConfig(roots, now, c.pair))
	close(r.changed)
	r.changed = make(chan struct{})
	return before
}

func (r *roundTripper) get() (*credential, *transport, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.via, r.changed
}

// RoundTrip implements http.RoundTripper.
func (r *roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	for {
		c, via, changed := r.get()
		if c == nil {
			select {
			case <-changed:
				continue
			case <-request.Context().Done():
				if request.Body != nil {
					_ = request.Body.Close()
				}
				return nil, fmt.Errorf("%w: %w", ErrWaiting, errors.Join(r.trouble(), request.Context().Err()))
			}
		}
		response, err := via.RoundTrip(request)
		if err != nil {
			r.failed(err)
			return nil, err
		}
		r.heard(c, response.StatusCode, dateOf(response))
		return response, nil
	}
}

// CloseIdleConnections is called through http.Client.
func (r *roundTripper) CloseIdleConnections() {
	if _, via, _ := r.get(); via != nil {
		via.CloseIdleConnections()
	}
}

// dateOf is the server's clock in an answer; zero when it does not say.
func dateOf(response *http.Response) time.Time {
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}

// explain adds to an error of a connection what to do about it.
func explain(err error, server string, now time.Time) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w. This machine's clock says %s, the certificate of %s is good from %s to %s: set the clock, or renew the server's certificate if the clock is right",
			err, stamp(now), server, stamp(invalid.Cert.NotBefore), stamp(invalid.Cert.NotAfter))
	case errors.As(err, &unknown):
		return fmt.Errorf("%w. The certificate of %s is not of the pinned CA: a load balancer that ends TLS, another server, or a new CA; that one's hash is for --federation-ca-hash", err, server)
	case errors.As(err, &host):
		return fmt.Errorf("%w. Use an address that the certificate of the federation has, or give its API server this one with --tls-san", err)
	}
	return err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
