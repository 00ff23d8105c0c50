package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Reasons of a Result.
const (
	// NoService: reached, but there was nothing to shake hands with.
	NoService = "NoService"
	// Unreachable: no connection, or no answer.
	Unreachable = "Unreachable"
	// WrongRoot: the certificate there is not under a root of the mesh.
	WrongRoot = "WrongRoot"
	// Refused: ours is not accepted there.
	Refused = "Refused"
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

// Identity is who tries.
type Identity struct {
	// Certificate of the mesh.
	Certificate tls.Certificate
	// Roots of the mesh.
	Roots *x509.CertPool
}

// Result of a probe.
type Result struct {
	// Passed is true when the gateway can be used, as far as it was seen.
	Passed bool
	// Reason is empty after a full handshake.
	Reason string
	// Message says what was seen. It does not change between attempts that see the same.
	Message string
	// Name is the server name that answered; empty when none did.
	Name string
}

// Gateway tries to reach a gateway, by one server name after the other until one
// answers.
func Gateway(ctx context.Context, address string, names []string, who *Identity) Result {
	for _, name := range names {
		result, next := try(ctx, address, name, who)
		if !next {
			return result
		}
	}
	if len(names) == 0 {
		conn, err := dial(ctx, address)
		if err != nil {
			return Result{Reason: Unreachable, Message: fmt.Sprintf("%s: %s", address, plain(err))}
		}
		_ = conn.Close()
	}
	return Result{Passed: true, Reason: NoService, Message: fmt.Sprintf("%s is reached, but has no service of the mesh yet that could be tried", address)}
}

// try makes one attempt. Next says that another name may have more luck.
func try(ctx context.Context, address, name string, who *Identity) (result Result, next bool) {
	fail := func(reason, format string, args ...any) (Result, bool) {
		return Result{Reason: reason, Message: address + ": " + fmt.Sprintf(format, args...)}, false
	}
	raw, err := dial(ctx, address)
	if err != nil {
		return fail(Unreachable, "%s", plain(err))
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
	alert := remote(err)
	switch {
	case err == nil:
		return Result{Passed: true, Name: name}, false
	case untrusted != nil:
		return fail(WrongRoot, "the certificate of %s is not under a root that this cluster trusts: %v", name, untrusted)
	case alert != nil:
		return fail(Refused, "for %s it does not accept the certificate of this cluster: %v", name, alert)
	case counted.read == 0 && closed(err):
		return Result{}, true
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
	if remote(err) != nil {
		return err
	}
	return nil // silence, something said, or an end that is not about certificates
}

// remote is what the other side says is wrong; nil when it said nothing.
func remote(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "remote error" {
		return operation.Err
	}
	return nil
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
