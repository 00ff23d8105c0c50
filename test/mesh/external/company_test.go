package external

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// company is a CA of a person, made as openssl makes it and not as Flotilla does: other
// keys, no SPIFFE ID, no extension that is not needed.
type company struct {
	*trust.Authority

	t     *testing.T
	above *company // nil of a root
}

func (c *company) sign(name string, begin, end time.Time) *company {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(c.t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(c.t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if c.Authority != nil {
		parent, signer = c.Certificate, c.Key.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(c.t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(c.t, err)
	signed := &company{t: c.t, Authority: &trust.Authority{Certificate: certificate, Key: key}}
	if c.Authority != nil {
		signed.above = c
	}
	return signed
}

// root is a new root that has lived for a while.
func root(t *testing.T, lives time.Duration) *company {
	return (&company{t: t}).sign("Company Root", time.Now().Add(-time.Minute), time.Now().Add(lives))
}

// below is a CA under another, that ends with it.
func (c *company) below(name string) *company {
	return c.sign(name, c.Certificate.NotBefore, c.Certificate.NotAfter)
}

func (c *company) pem() []byte { return trust.Bundle(c.Certificate) }

func (c *company) key() []byte {
	text, err := trust.EncodeKey(c.Key)
	require.NoError(c.t, err)
	return text
}

// chain is what Istio's Makefile writes: from the CA to the root, and that, too.
func (c *company) chain() []byte {
	var all []*x509.Certificate
	for at := c; at != nil; at = at.above {
		all = append(all, at.Certificate)
	}
	return trust.Bundle(all...)
}

// signs is a Secret with a root and its key.
func (c *company) signs() map[string][]byte {
	return map[string][]byte{"root-cert.pem": c.pem(), "root-key.pem": c.key()}
}

// gives is a Secret with a root and intermediates, each below a CA of a department.
func (c *company) gives(clusters ...string) (data map[string][]byte, given map[string]*company) {
	data, given = map[string][]byte{"root-cert.pem": c.pem()}, map[string]*company{}
	department := c.below("Company Department")
	for _, cluster := range clusters {
		signer := department.below("Mesh of " + cluster)
		given[cluster] = signer
		data[cluster+".ca-cert.pem"], data[cluster+".ca-key.pem"], data[cluster+".cert-chain.pem"] = signer.pem(), signer.key(), signer.chain()
	}
	return data, given
}
