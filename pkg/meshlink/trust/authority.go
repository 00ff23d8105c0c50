package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

const (
	// RootLifetime is how long a root is valid that is made here.
	RootLifetime = 10 * 365 * 24 * time.Hour
	// IntermediateLifetime is how long an intermediate is valid that is made here,
	// if nothing else is asked for.
	IntermediateLifetime = 365 * 24 * time.Hour
	// LeafLifetime is how long the certificates of workloads are valid unless
	// Istio is told otherwise (SECRET_TTL of its agent).
	LeafLifetime = 24 * time.Hour

	// backdate allows for clocks of members that are slow. What lives shorter than
	// backdateShare times that begins a share of its life earlier: otherwise its time to
	// be renewed would be over when it is made.
	backdate      = time.Hour
	backdateShare = 4
)

// ErrNoKey means that a root is known but its key is not, so nothing can be
// signed under it.
var ErrNoKey = errors.New("the key of the root is not known")

// Mesh is what certificates say about the mesh that they belong to.
type Mesh struct {
	// Name of the mesh.
	Name string
	// TrustDomain is the host of the SPIFFE IDs of its workloads.
	TrustDomain string
}

// uri is the SPIFFE ID that a signing certificate has: the trust domain alone
// (SPIFFE X.509-SVID, section 3.1).
func (m Mesh) uri() []*url.URL { return []*url.URL{{Scheme: "spiffe", Host: m.TrustDomain}} }

// Authority is a root. Key is nil when it is known only for being trusted.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Fingerprint of the root's certificate.
func (a *Authority) Fingerprint() Fingerprint { return FingerprintOf(a.Certificate) }

// Intermediate is the signer of one cluster.
type Intermediate struct {
	// Certificate signs the certificates of workloads.
	Certificate *x509.Certificate
	// Key of Certificate.
	Key crypto.Signer
	// Chain begins with Certificate and ends below the root.
	Chain []*x509.Certificate
	// Root is the root that Chain leads to.
	Root Fingerprint
}

// Fingerprint of the intermediate's certificate.
func (i *Intermediate) Fingerprint() Fingerprint { return FingerprintOf(i.Certificate) }

// NewRoot makes the root of a mesh, valid from an hour before now, since clocks
// of members may be slow. The generation tells the roots of a mesh apart for
// people who read certificates.
func NewRoot(mesh Mesh, generation int64, now time.Time, lifetime time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("root of mesh %s: make a key: %w", mesh.Name, err)
	}
	template, err := template(now, now.Add(lifetime))
	if err != nil {
		return nil, fmt.Errorf("root of mesh %s: %w", mesh.Name, err)
	}
	template.Subject = pkix.Name{Organization: []string{mesh.Name}, CommonName: fmt.Sprintf("Root CA %d", generation)}
	template.URIs = mesh.uri()
	template.MaxPathLen = 1
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("root of mesh %s: %w", mesh.Name, err)
	}
	return &Authority{Certificate: cert, Key: key}, nil
}

// NewIntermediate makes the signer of a cluster under a root. It does not outlive
// the root. ErrNoKey when the root's key is not known.
func NewIntermediate(root *Authority, mesh Mesh, cluster string, now time.Time, lifetime time.Duration) (*Intermediate, error) {
	fail := func(err error) (*Intermediate, error) {
		return nil, fmt.Errorf("intermediate of mesh %s for cluster %s: %w", mesh.Name, cluster, err)
	}
	if root.Key == nil {
		return fail(ErrNoKey)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(fmt.Errorf("make a key: %w", err))
	}
	end := now.Add(lifetime)
	if end.After(root.Certificate.NotAfter) {
		end = root.Certificate.NotAfter
	}
	if !end.After(now) {
		return fail(fmt.Errorf("the root %s has ended on %s: raise spec.trust.rootGeneration", root.Fingerprint().Short(), root.Certificate.NotAfter.UTC().Format(time.RFC3339)))
	}
	template, err := template(now, end)
	if err != nil {
		return fail(err)
	}
	if template.NotBefore.Before(root.Certificate.NotBefore) {
		template.NotBefore = root.Certificate.NotBefore
	}
	template.Subject = pkix.Name{Organization: []string{mesh.Name}, Locality: []string{cluster}, CommonName: "Intermediate CA"}
	template.URIs = mesh.uri()
	template.MaxPathLenZero = true
	cert, err := sign(template, root.Certificate, key.Public(), root.Key)
	if err != nil {
		return fail(err)
	}
	return &Intermediate{Certificate: cert, Key: key, Chain: []*x509.Certificate{cert}, Root: root.Fingerprint()}, nil
}

func template(now, end time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             now.Add(-min(backdate, end.Sub(now)/backdateShare)),
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate back: %w", err)
	}
	return cert, nil
}
