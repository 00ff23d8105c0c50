package istiod

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
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod/wire"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// ErrCA means that what istiod signed is not to be used.
var ErrCA = errors.New("istiod's CA")

// Request is a key, and the request to sign it.
type Request struct {
	key *ecdsa.PrivateKey
	csr string
}

// NewRequest makes a key. istiod decides about the name from the token, so the
// request has none.
func NewRequest() (*Request, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a request for a certificate: %w", err)
	}
	return &Request{key: key, csr: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}, nil
}

// Signed is what the CA of an istiod makes of a request.
type Signed struct {
	// Certificate with its key and intermediates.
	Certificate tls.Certificate
	// Roots that it gives to workloads, in its order, and as it writes them.
	Roots    []*x509.Certificate
	RootsPEM []byte

	chain []*x509.Certificate // without the certificate itself
}

// Sign lets istiod sign a request, for as long as it does by default: it refuses what is
// longer than it may be.
func (c *Client) Sign(ctx context.Context, request *Request) (*Signed, error) {
	answer := &wire.SignResponse{}
	err := c.conn.Invoke(ctx, wire.SignMethod, &wire.SignRequest{CSR: request.csr}, answer)
	if err != nil {
		return nil, err
	}
	elements := answer.Chain
	if len(elements) < 2 {
		return nil, fmt.Errorf("%w: it returned %d certificates, want one and its root", ErrCA, len(elements))
	}
	last := len(elements) - 1
	signed := &Signed{RootsPEM: []byte(elements[last])}
	if signed.Roots, err = trust.ParseCertificates(signed.RootsPEM); err != nil {
		return nil, fmt.Errorf("%w: roots: %w", ErrCA, err)
	}
	signed.Certificate.PrivateKey = request.key
	for _, element := range elements[:last] {
		certs, err := trust.ParseCertificates([]byte(element))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCA, err)
		}
		for _, cert := range certs {
			if signed.Certificate.Leaf == nil {
				signed.Certificate.Leaf = cert
			} else {
				signed.chain = append(signed.chain, cert)
			}
			signed.Certificate.Certificate = append(signed.Certificate.Certificate, cert.Raw)
		}
	}
	if public, ok := signed.Certificate.Leaf.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(&request.key.PublicKey) {
		return nil, fmt.Errorf("%w: it signed another key than ours", ErrCA)
	}
	return signed, nil
}

// Effect is the CA that istiod has in effect, whether it is valid at present or not. When
// what it signs does not lead to any of the roots, Signer is empty and missing says so:
// workloads with it are not trusted by anybody then.
func (s *Signed) Effect() (effect *meshv1alpha1.MemberCAStatus, missing string) {
	effect = &meshv1alpha1.MemberCAStatus{}
	for _, root := range s.Roots {
		effect.Roots = append(effect.Roots, string(trust.FingerprintOf(root)))
	}
	// The way from the certificate up. It has no more steps than there are certificates.
	cert := s.Certificate.Leaf
	for range len(s.chain) + 1 {
		if root := signer(cert, s.Roots); root != nil {
			effect.Signer = string(trust.FingerprintOf(root))
			if effect.Expires == nil {
				effect.Expires = &metav1.Time{Time: root.NotAfter}
			}
			return effect, ""
		}
		if cert = signer(cert, s.chain); cert == nil {
			break
		}
		if effect.Expires == nil {
			effect.Intermediate = string(trust.FingerprintOf(cert))
			effect.Expires = &metav1.Time{Time: cert.NotAfter}
		}
	}
	return effect, "what istiod signs does not lead to the roots that it tells to trust"
}

// signer is the one among some that has signed a certificate; nil for none.
func signer(cert *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, candidate := range among {
		if cert.CheckSignatureFrom(candidate) == nil {
			return candidate
		}
	}
	return nil
}

// Life is how long the certificate is valid.
func (s *Signed) Life() time.Duration {
	return s.Certificate.Leaf.NotAfter.Sub(s.Certificate.Leaf.NotBefore)
}

// Pool are the roots for checking the certificates of others.
func (s *Signed) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, root := range s.Roots {
		pool.AddCert(root)
	}
	return pool
}
