package fakeistiod

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"time"
)

// CA is a root and an intermediate under it.
type CA struct {
	Root, Intermediate *x509.Certificate
	key                *ecdsa.PrivateKey // of Intermediate
}

// NewCA makes a CA.
func NewCA(name string) (*CA, error) {
	root, rootKey, err := issue(pkix.Name{CommonName: name}, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	intermediate, key, err := issue(pkix.Name{CommonName: name + " intermediate"}, root, rootKey, nil)
	if err != nil {
		return nil, err
	}
	return &CA{Root: root, Intermediate: intermediate, key: key}, nil
}

// issue makes a signing certificate, or one for a public key.
func issue(subject pkix.Name, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, leaf *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, err
	}
	template := leaf
	public := any(&key.PublicKey)
	if template == nil {
		template = &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	} else if template.PublicKey != nil {
		public = template.PublicKey
	}
	template.SerialNumber, template.Subject = serial, subject
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, parentKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

var usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

// Server is a certificate for a host name.
func (c *CA) Server(name string) (tls.Certificate, error) {
	cert, key, err := issue(pkix.Name{}, c.Intermediate, c.key, &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: usages})
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw, c.Intermediate.Raw}, PrivateKey: key}, nil
}

// Workload is a certificate for a workload of the mesh.
func (c *CA) Workload() (tls.Certificate, error) {
	cert, key, err := issue(pkix.Name{}, c.Intermediate, c.key, workload(nil))
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw, c.Intermediate.Raw}, PrivateKey: key}, nil
}

// Pool has the root.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Root)
	return pool
}

func workload(public any) *x509.Certificate {
	return &x509.Certificate{
		PublicKey: public, ExtKeyUsage: usages,
		URIs: []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/istio-system/sa/flotilla-mesh-reader"}},
	}
}

// sign signs the key of a request.
func (c *CA) sign(csr string) (string, error) {
	block, _ := pem.Decode([]byte(csr))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", err
	}
	cert, _, err := issue(pkix.Name{}, c.Intermediate, c.key, workload(request.PublicKey))
	if err != nil {
		return "", err
	}
	return PEM(cert), nil
}

// PEM writes certificates.
func PEM(certs ...*x509.Certificate) string {
	var text []byte
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return string(text)
}
