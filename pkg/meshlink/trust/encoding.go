package trust

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// ErrEncoding means that PEM could not be read as what it should be.
var ErrEncoding = errors.New("cannot be read")

// Fingerprint is "sha256:" and the SHA-256 of a certificate (DER) in hex.
type Fingerprint string

// FingerprintOf is the fingerprint of a certificate.
func FingerprintOf(cert *x509.Certificate) Fingerprint {
	sum := sha256.Sum256(cert.Raw)
	return Fingerprint("sha256:" + hex.EncodeToString(sum[:]))
}

// FingerprintsOf are the fingerprints of the certificates of a bundle, in its
// order.
func FingerprintsOf(bundle []byte) ([]Fingerprint, error) {
	certs, err := ParseCertificates(bundle)
	if err != nil {
		return nil, err
	}
	all := make([]Fingerprint, 0, len(certs))
	for _, cert := range certs {
		all = append(all, FingerprintOf(cert))
	}
	return all, nil
}

// Short is enough of a fingerprint for messages to people.
func (f Fingerprint) Short() string {
	const prefix, digits = len("sha256:"), 8
	if len(f) <= prefix+digits {
		return string(f)
	}
	return string(f[prefix : prefix+digits])
}

// BundleHash is "sha256:" and the SHA-256 of a bundle's bytes in hex.
func BundleHash(bundle []byte) string {
	sum := sha256.Sum256(bundle)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Bundle writes certificates one after another. The same certificates in the same
// order always give the same bytes.
func Bundle(certs ...*x509.Certificate) []byte {
	var all bytes.Buffer
	for _, cert := range certs {
		all.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	return all.Bytes()
}

// ParseCertificates reads a bundle. ErrEncoding when it holds none, or something
// else besides.
func ParseCertificates(bundle []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := bundle; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("certificates: %w: there is a %s among them; leave only CERTIFICATE blocks", ErrEncoding, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificates: %w: %w", ErrEncoding, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("certificates: %w: there is no PEM block of type CERTIFICATE", ErrEncoding)
	}
	return certs, nil
}

// EncodeKey writes a key as PKCS #8.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads a key as istiod does: PKCS #8, SEC 1 or PKCS #1.
func ParseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("key: %w: it is not PEM", ErrEncoding)
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("key: %w: its PEM block is a %s; istiod reads PRIVATE KEY, EC PRIVATE KEY and RSA PRIVATE KEY, not encrypted", ErrEncoding, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("key: %w: %w", ErrEncoding, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key: %w: it cannot sign", ErrEncoding)
	}
	return signer, nil
}
