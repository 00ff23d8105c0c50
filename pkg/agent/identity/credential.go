package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/flotilla-io/flotilla/api/names"
)

// ErrCredential marks a certificate that is not this agent's to use.
var ErrCredential = errors.New("certificate cannot be used")

// credential is a certificate with its key, ready for use.
type credential struct {
	bundle Bundle // without the CA
	pair   tls.Certificate
	leaf   *x509.Certificate
}

// newCredential reads PEM and makes sure that it is for the agent of a cluster.
func newCredential(certificate, key []byte, cluster string) (*credential, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCredential, err)
	}
	if want := names.AgentUserPrefix + cluster; leaf.Subject.CommonName != want {
		return nil, fmt.Errorf("%w: it is for %s, not for %s", ErrCredential, leaf.Subject.CommonName, want)
	}
	pair.Leaf = leaf
	return &credential{bundle: Bundle{Certificate: certificate, Key: key}, pair: pair, leaf: leaf}, nil
}

// renewAt is when to ask for the next one, by the federation's clock. chance is between 0 and 1.
func (c *credential) renewAt(chance float64) time.Time {
	life := c.leaf.NotAfter.Sub(c.leaf.NotBefore)
	return c.leaf.NotBefore.Add(time.Duration(float64(life) * (0.7 + 0.2*chance)))
}
