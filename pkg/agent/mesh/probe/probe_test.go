package probe

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
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

// behind is a gateway that forwards by name, as Envoy does: names that it does not know are
// closed without a word.
func behind(t *testing.T, workloads map[string]func(net.Conn)) func(net.Conn) {
	t.Helper()
	return func(conn net.Conn) {
		var said bytes.Buffer
		name := ""
		_ = tls.Server(tee{conn, &said}, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			name = info.ServerName
			return nil, errors.New("heard enough")
		}}).Handshake()
		if answer := workloads[name]; answer != nil {
			answer(again{conn, io.MultiReader(&said, conn)})
		}
	}
}

// tee reads, keeps what was read, and says nothing.
type tee struct {
	net.Conn
	said *bytes.Buffer
}

func (c tee) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.said.Write(p[:n])
	return n, err
}

func (c tee) Write(p []byte) (int, error) { return len(p), nil }

// again begins with what was read before.
type again struct {
	net.Conn
	reader io.Reader
}

func (c again) Read(p []byte) (int, error) { return c.reader.Read(p) }

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
	secure := func(server *Identity, trusts *root, protocols ...string) func(net.Conn) {
		return func(conn net.Conn) {
			c := tls.Server(conn, &tls.Config{
				MinVersion: tls.VersionTLS12, NextProtos: protocols, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusts.pool(),
				Certificates: []tls.Certificate{server.Certificate},
			})
			if c.Handshake() == nil {
				_, _ = io.Copy(io.Discard, c)
			}
		}
	}
	good, foreign, refused := secure(mesh.identity(t), mesh, protocol), secure(other.identity(t), mesh, protocol), secure(mesh.identity(t), other, protocol)
	text := func(conn net.Conn) { _, _ = conn.Write([]byte("220 ready\r\n")) }
	silence := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	mixed := listen(t, behind(t, map[string]func(net.Conn){
		"good": good, "foreign": foreign, "foreign2": foreign, "refused": refused, "text": text, "silent": silence,
	}))
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
		"OneIsNotOfTheMesh": {
			reason:  "A port that is kept out of the mesh says nothing about the link.",
			address: mixed, names: []string{"foreign", "good"},
			want: Result{Passed: true, Name: "good"},
		},
		"OneRefuses": {
			reason:  "Nor does one whose certificate is not renewed.",
			address: mixed, names: []string{"refused", "good"},
			want: Result{Passed: true, Name: "good"},
		},
		"OneSpeaksPlainText": {
			reason:  "Nor does one with mTLS switched off.",
			address: mixed, names: []string{"text", "good"},
			want: Result{Passed: true, Name: "good"},
		},
		"OneIsSilent": {
			reason:  "Nor does one that the gateway may not reach.",
			address: mixed, names: []string{"silent", "good"},
			want: Result{Passed: true, Name: "good"},
		},
		"MostSay": {
			reason:  "What most say is reported.",
			address: mixed, names: []string{"text", "unknown", "foreign", "foreign2"},
			want: Result{Reason: WrongRoot}, says: "foreign",
		},
		"OneSays": {
			reason:  "All others are not known there.",
			address: mixed, names: []string{"unknown", "text"},
			want: Result{Reason: Unreachable}, says: "text",
		},
		"NoGateway": {
			reason:  "A server of something else that does not know the protocol does not refuse the certificate.",
			address: listen(t, secure(mesh.identity(t), mesh, "h2")), names: []string{hello},
			want: Result{Reason: NoGateway}, says: "no workload of a mesh",
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
			got.Message, got.Closed, got.Failed = "", nil, nil
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
