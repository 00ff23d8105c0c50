package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root makes certificates of workloads.
type root struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newRoot(t *testing.T) *root {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &root{cert: cert, key: key}
}

func (r *root) identity(t *testing.T) *Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/default/sa/default"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, r.cert, &key.PublicKey, r.key)
	require.NoError(t, err)
	return &Identity{Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, Roots: r.pool()}
}

func (r *root) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(r.cert)
	return pool
}

// listen answers connections until the test ends.
func listen(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				defer func() { _ = conn.Close() }()
				answer(conn)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); done.Wait() })
	return listener.Addr().String()
}

const hello = "outbound_.80_._.hello.default.svc.cluster.local"

// workload answers for hello only, as a gateway with one service does.
func workload(t *testing.T, server *Identity, trusts *root, version uint16) func(net.Conn) {
	t.Helper()
	return func(conn net.Conn) {
		known := true
		secure := tls.Server(conn, &tls.Config{
			MinVersion: version, MaxVersion: version, NextProtos: []string{protocol},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusts.pool(),
			Certificates: []tls.Certificate{server.Certificate},
			GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
				known = info.ServerName == hello && len(info.SupportedProtos) == 1 && info.SupportedProtos[0] == protocol
				if !known {
					return nil, conn.Close() // as Envoy does: without a word
				}
				return nil, nil
			},
		})
		if secure.Handshake() == nil && known {
			_, _ = io.Copy(io.Discard, secure)
		}
	}
}

func TestGateway(t *testing.T) {
	mesh, other := newRoot(t), newRoot(t)
	refusing := func() string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = listener.Close() }()
		return listener.Addr().String()
	}
	const unknown = "outbound_.80_._.unknown.default.svc.cluster.local"
	cases := map[string]struct {
		reason  string
		address string
		names   []string
		want    Result
		says    string
	}{
		"Handshake": {
			reason:  "Both trust each other.",
			address: listen(t, workload(t, mesh.identity(t), mesh, tls.VersionTLS13)), names: []string{hello},
			want: Result{Passed: true, Name: hello},
		},
		"OlderTLS": {
			reason:  "So it is with TLS 1.2.",
			address: listen(t, workload(t, mesh.identity(t), mesh, tls.VersionTLS12)), names: []string{hello},
			want: Result{Passed: true, Name: hello},
		},
		"SecondName": {
			reason:  "A service that the gateway does not know says nothing about it.",
			address: listen(t, workload(t, mesh.identity(t), mesh, tls.VersionTLS13)), names: []string{unknown, hello},
			want: Result{Passed: true, Name: hello},
		},
		"NoneKnown": {
			reason:  "The gateway is there; that it has no service is not its fault.",
			address: listen(t, workload(t, mesh.identity(t), mesh, tls.VersionTLS13)), names: []string{unknown},
			want: Result{Passed: true, Reason: NoService},
		},
		"NothingToTry": {
			reason:  "A connection is all that can be shown.",
			address: listen(t, func(net.Conn) {}),
			want:    Result{Passed: true, Reason: NoService},
		},
		"OtherRoot": {
			reason:  "The workloads there would be refused by ours.",
			address: listen(t, workload(t, other.identity(t), mesh, tls.VersionTLS13)), names: []string{hello},
			want: Result{Reason: WrongRoot}, says: hello,
		},
		"OtherRootThere": {
			reason:  "Ours would be refused by the workloads there, which TLS 1.3 says after the handshake.",
			address: listen(t, workload(t, mesh.identity(t), other, tls.VersionTLS13)), names: []string{hello},
			want: Result{Reason: Refused}, says: "does not accept the certificate",
		},
		"OtherRootThereOlderTLS": {
			reason:  "TLS 1.2 says it in the handshake.",
			address: listen(t, workload(t, mesh.identity(t), other, tls.VersionTLS12)), names: []string{hello},
			want: Result{Reason: Refused}, says: "does not accept the certificate",
		},
		"Refused": {
			reason:  "Nobody listens.",
			address: refusing(), names: []string{hello},
			want: Result{Reason: Unreachable}, says: "connection refused",
		},
		"NobodyListensAndNothingToTry": {
			reason:  "No service is no excuse for no connection.",
			address: refusing(),
			want:    Result{Reason: Unreachable}, says: "connection refused",
		},
		"NotTLS": {
			reason:  "Something else listens there.",
			address: listen(t, func(conn net.Conn) { _, _ = conn.Write([]byte("SSH-2.0-x\r\n")) }), names: []string{hello},
			want: Result{Reason: Unreachable}, says: "handshake",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Gateway(t.Context(), tc.address, tc.names, mesh.identity(t))
			assert.Contains(t, got.Message, tc.says, tc.reason)
			if !got.Passed {
				assert.Contains(t, got.Message, tc.address, "it names the gateway")
			}
			again := Gateway(t.Context(), tc.address, tc.names, mesh.identity(t))
			assert.Equal(t, got, again, "the same is said of the same")
			got.Message = ""
			assert.Equal(t, tc.want, got, tc.reason)
		})
	}
}

func TestGatewayEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	})
	began := time.Now()
	got := Gateway(ctx, silent, []string{hello}, newRoot(t).identity(t))
	assert.Less(t, time.Since(began), handshakeTimeout)
	assert.False(t, got.Passed)
}

func TestGatewayThatSaysNothing(t *testing.T) {
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	got := Gateway(t.Context(), silent, []string{hello}, newRoot(t).identity(t))
	assert.Equal(t, Unreachable, got.Reason)
	assert.Contains(t, got.Message, "no answer in time")
}
