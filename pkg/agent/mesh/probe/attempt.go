package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"syscall"
	"time"
)

// What an attempt may take.
const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 3 * time.Second
	// afterwards is the least time in which a server may refuse our certificate. In
	// TLS 1.3 it says so only when the handshake is over for us.
	afterwards = 50 * time.Millisecond
)

// protocol is what gateways let through.
const protocol = "istio"

// attempt is what came out with one name.
type attempt struct {
	Result
	// closed is true when the connection was ended before anything came back, and final
	// when other names would have no more luck.
	closed, final bool
}

func try(ctx context.Context, address, name string, who *Identity) attempt {
	fail := func(reason, format string, args ...any) attempt {
		return attempt{Result: Result{Reason: reason, Message: address + ": " + fmt.Sprintf(format, args...)}}
	}
	raw, err := dial(ctx, address)
	if err != nil {
		a := fail(Unreachable, "%s", plain(err))
		a.final = true
		return a
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	counted := &counter{Conn: raw}
	var untrusted error
	conn := tls.Client(counted, config(name, who, &untrusted))
	defer func() { _ = conn.Close() }()
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return fail(Unreachable, "%s", plain(err))
	}
	began := time.Now()
	err = conn.HandshakeContext(ctx)
	if err == nil {
		err = refusal(conn, raw, 2*time.Since(began)+afterwards)
	}
	code, said := alert(err)
	switch {
	case err == nil:
		return attempt{Result: Result{Passed: true, Name: name}}
	case untrusted != nil:
		return fail(WrongRoot, "the certificate of %s is not under a root that this cluster trusts: %v", name, untrusted)
	case said != nil && aboutCertificates[code]:
		return fail(Refused, "for %s it does not accept the certificate of this cluster: %v", name, said)
	case said != nil:
		return fail(NoGateway, "what answers for %s is no workload of a mesh: %v", name, said)
	case counted.read == 0 && closed(err):
		return attempt{closed: true}
	default:
		return fail(Unreachable, "connected, but the handshake with %s did not end: %s", name, plain(err))
	}
}

func config(name string, who *Identity, untrusted *error) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		ServerName:   name,
		NextProtos:   []string{protocol},
		Certificates: []tls.Certificate{who.Certificate},
		// Names in certificates of workloads are SPIFFE IDs and not host names. Whether
		// they are under the mesh's root is checked here.
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			*untrusted = verify(raw, who.Roots)
			return *untrusted
		},
	}
}

func verify(raw [][]byte, roots *x509.CertPool) error {
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	var leaf *x509.Certificate
	for _, der := range raw {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("it cannot be read: %w", err)
		}
		if leaf == nil {
			leaf = cert
			continue
		}
		options.Intermediates.AddCert(cert)
	}
	if leaf == nil {
		return errors.New("there is none")
	}
	_, err := leaf.Verify(options)
	return err
}

// refusal waits whether the server refuses our certificate after the handshake.
func refusal(conn *tls.Conn, raw net.Conn, wait time.Duration) error {
	if conn.ConnectionState().Version < tls.VersionTLS13 {
		return nil // it would have done so before
	}
	if err := raw.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	if _, said := alert(err); said != nil {
		return err
	}
	return nil // silence, something said, or an end that is not about certificates
}

// aboutCertificates are the alerts (RFC 8446, 6.2) with which a certificate is refused.
var aboutCertificates = map[uint64]bool{
	42: true, 43: true, 44: true, 45: true, 46: true, // bad, unsupported, revoked, expired, unknown
	48: true, 49: true, 116: true, // unknown CA, access denied, certificate required
}

// alert is what the other side says is wrong, and its number; nil when it said nothing.
func alert(err error) (code uint64, said error) {
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Op != "remote error" {
		return 0, nil
	}
	// crypto/tls does not export the type, which is the number.
	if v := reflect.ValueOf(operation.Err); v.Kind() == reflect.Uint8 {
		code = v.Uint()
	}
	return code, operation.Err
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	return dialer.DialContext(ctx, "tcp", address)
}

// counter counts what was read.
type counter struct {
	net.Conn
	read int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

// closed tells whether the other side has ended the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// plain says what is wrong without addresses of this side, which differ each time.
func plain(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time; is there a firewall in between?"
	}
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err.Error()
	}
	return err.Error()
}
