package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// The Secret that istiod reads its CA from, in its own namespace, and the keys of
// its data.
const (
	// CACertsSecret is the Secret's name.
	CACertsSecret = "cacerts"
	// CACertKey holds the intermediate.
	CACertKey = "ca-cert.pem"
	// CAKeyKey holds the intermediate's key.
	CAKeyKey = "ca-key.pem"
	// CertChainKey holds what is between a workload's certificate and the root.
	CertChainKey = "cert-chain.pem"
	// RootCertKey holds the roots to trust.
	RootCertKey = "root-cert.pem"
)

// ErrUnusable means that istiod, or its peers, could not use a CA as it is given.
var ErrUnusable = errors.New("cannot be used as the CA of a cluster")

// CACerts is the data of the Secret "cacerts" of a cluster. The chain ends below
// the root: istiod itself adds the roots to what it hands out.
//
// ErrUnusable when istiod would not load it.
func CACerts(signer *Intermediate, roots []*x509.Certificate, now time.Time) (map[string][]byte, error) {
	key, err := EncodeKey(signer.Key)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{
		CACertKey:    Bundle(signer.Certificate),
		CAKeyKey:     key,
		CertChainKey: Bundle(signer.Chain...),
		RootCertKey:  Bundle(roots...),
	}
	if _, err := ParseCACerts(data, now); err != nil {
		return nil, err
	}
	return data, nil
}

// ParseCACerts reads the data of a Secret "cacerts" and checks it as istiod does,
// and a bit more: that the certificate may sign, and for whom. The error is
// ErrEncoding or ErrUnusable and names the key of the data.
func ParseCACerts(data map[string][]byte, now time.Time) (*Intermediate, error) {
	return parseCA(data, "", now)
}

// parseCA reads a CA whose own keys of the data begin with a prefix.
func parseCA(data map[string][]byte, prefix string, now time.Time) (*Intermediate, error) {
	certs, err := parseAt(data, prefix+CACertKey)
	if err != nil {
		return nil, err
	}
	chain, err := parseAt(data, prefix+CertChainKey)
	if err != nil {
		return nil, err
	}
	roots, err := parseAt(data, RootCertKey)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(data[prefix+CAKeyKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", prefix+CAKeyKey, err)
	}
	if err := checkSigner(certs[0], key, now); err != nil {
		return nil, fmt.Errorf("%s with %s: %w", prefix+CACertKey, prefix+CAKeyKey, err)
	}
	signer, err := leadToRoot(certs[0], key, chain, roots, now)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", prefix+CACertKey, prefix+CertChainKey, err)
	}
	return signer, nil
}

func parseAt(data map[string][]byte, key string) ([]*x509.Certificate, error) {
	certs, err := ParseCertificates(data[key])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return certs, nil
}

// leadToRoot finds the way from a signer to one of the roots.
func leadToRoot(cert *x509.Certificate, key crypto.Signer, chain, roots []*x509.Certificate, now time.Time) (*Intermediate, error) {
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, root := range roots {
		options.Roots.AddCert(root)
	}
	for _, c := range chain {
		options.Intermediates.AddCert(c)
	}
	ways, err := cert.Verify(options)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not lead to a root in %s: %w", ErrUnusable, RootCertKey, err)
	}
	way := ways[0]
	if len(way) < 2 {
		return nil, fmt.Errorf("%w: it is the root itself; the key of a root stays out of clusters, sign an intermediate for each", ErrUnusable)
	}
	return &Intermediate{Certificate: cert, Key: key, Chain: way[:len(way)-1], Root: FingerprintOf(way[len(way)-1])}, nil
}

// checkSigner says whether a certificate with its key can sign certificates of
// workloads.
func checkSigner(cert *x509.Certificate, key crypto.Signer, now time.Time) error {
	if err := checkAuthority(cert, now); err != nil {
		return err
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(cert.PublicKey) {
		return fmt.Errorf("%w: the key is not that of the certificate", ErrUnusable)
	}
	switch key.(type) {
	case *ecdsa.PrivateKey, *rsa.PrivateKey:
		return nil
	default:
		return fmt.Errorf("%w: its key is a %T; istiod signs with ECDSA and RSA keys", ErrUnusable, key)
	}
}

// checkAuthority says whether a certificate may sign others, now.
func checkAuthority(cert *x509.Certificate, now time.Time) error {
	switch {
	// Without the extension keyUsage, as openssl makes roots, it may be used for everything.
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%w: it may not sign certificates (needs CA:true, and key usage keyCertSign if it has any)", ErrUnusable)
	case now.Before(cert.NotBefore):
		return fmt.Errorf("%w: it is valid only from %s", ErrUnusable, cert.NotBefore.UTC().Format(time.RFC3339))
	case !now.Before(cert.NotAfter):
		return fmt.Errorf("%w: it has ended on %s", ErrUnusable, cert.NotAfter.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}
