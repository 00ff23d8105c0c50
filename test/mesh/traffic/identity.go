package traffic

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// alpn is what sidecars offer each other. A gateway lets nothing else pass.
var alpn = []string{"istio"}

// ErrIdentity says that the other side is not whom istiod named.
var ErrIdentity = errors.New("wrong identity")

// Dialer connects to an istiod as a pod of a ServiceAccount does.
type Dialer interface {
	Dial(ctx context.Context, namespace, serviceAccount string) (*grpc.ClientConn, error)
}

// Identity is a ServiceAccount's certificate in one cluster, and the roots that
// its istiod tells to trust.
type Identity struct {
	istiod                    Dialer
	namespace, serviceAccount string
	lifetime                  time.Duration

	mu          sync.Mutex
	signed      *istiolab.Certificate
	certificate tls.Certificate
	roots       *x509.CertPool
}

// NewIdentity gets a certificate from the CA of an istiod, for an hour.
func NewIdentity(ctx context.Context, istiod Dialer, namespace, serviceAccount string) (*Identity, error) {
	return NewShortIdentity(ctx, istiod, namespace, serviceAccount, time.Hour)
}

// NewShortIdentity is NewIdentity with another lifetime of its certificates.
func NewShortIdentity(ctx context.Context, istiod Dialer, namespace, serviceAccount string, lifetime time.Duration) (*Identity, error) {
	i := &Identity{istiod: istiod, namespace: namespace, serviceAccount: serviceAccount, lifetime: lifetime}
	return i, i.Renew(ctx)
}

// Keep renews the certificate at half of its life, as a proxy does, until the
// context ends. What cannot be renewed is tried again soon.
func (i *Identity) Keep(ctx context.Context) {
	ticker := time.NewTicker(i.lifetime / 20)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if time.Until(i.Certificate().Chain[0].NotAfter) < i.lifetime/2 {
			// An istiod that is away comes back; until then the old one is used.
			_ = i.Renew(ctx)
		}
	}
}

// Renew gets a new certificate and the roots of now, as a proxy does when its
// certificate is old or its root has changed.
func (i *Identity) Renew(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return err
	}
	conn, err := i.istiod.Dial(ctx, i.namespace, i.serviceAccount)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	signed, err := istiolab.Sign(ctx, conn, csr, i.lifetime)
	if err != nil {
		return fmt.Errorf("certificate of %s/%s: %w", i.namespace, i.serviceAccount, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(signed.Roots) {
		return fmt.Errorf("certificate of %s/%s: istiod names no root", i.namespace, i.serviceAccount)
	}
	certificate := tls.Certificate{PrivateKey: key, Leaf: signed.Chain[0]}
	for _, c := range signed.Chain {
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signed, i.certificate, i.roots = signed, certificate, roots
	return nil
}

// Certificate is what istiod has signed last.
func (i *Identity) Certificate() *istiolab.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signed
}

// SPIFFE is the identity in the certificate.
func (i *Identity) SPIFFE() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return spiffe(i.certificate.Leaf)
}

func spiffe(c *x509.Certificate) string {
	if len(c.URIs) == 0 {
		return ""
	}
	return c.URIs[0].String()
}

// server is for connections that come in: any identity of the mesh may call.
func (i *Identity) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return i.config(x509.ExtKeyUsageClientAuth, nil), nil
	}}
}

// client is for a destination. Without identities any of the mesh may answer.
func (i *Identity) client(sni string, identities []string) *tls.Config {
	c := i.config(x509.ExtKeyUsageServerAuth, identities)
	c.ServerName = sni
	return c
}

func (i *Identity) config(usage x509.ExtKeyUsage, identities []string) *tls.Config {
	i.mu.Lock()
	defer i.mu.Unlock()
	roots := i.roots
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{i.certificate},
		NextProtos:   alpn,
		ClientAuth:   tls.RequireAnyClientCert,
		// The name in the certificate is a URI, not the server's host name, so
		// all that Go would check is checked here.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return verify(state.PeerCertificates, roots, usage, identities)
		},
	}
}

func verify(chain []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, identities []string) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: no certificate", ErrIdentity)
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}}
	if _, err := chain[0].Verify(options); err != nil {
		return err
	}
	if id := spiffe(chain[0]); len(identities) > 0 && !slices.Contains(identities, id) {
		return fmt.Errorf("%w: %s, want one of %v", ErrIdentity, id, identities)
	}
	return nil
}
