package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Leaf says what a certificate is for. With names or addresses it is a
// serving certificate, without it authenticates a client.
type Leaf struct {
	// CommonName is the user name for a client.
	CommonName string
	// Organization are the groups of a client.
	Organization []string
	DNSNames     []string
	IPs          []net.IP
}

func (l Leaf) usage() x509.ExtKeyUsage {
	if len(l.DNSNames) > 0 || len(l.IPs) > 0 {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

// Ensure leaves the certificate in the two files alone if it says what leaf
// says, was signed by a, and is good for another 30 days; else it writes a
// new one, with a new key, for 365 days or until the authority ends. It
// reports whether it wrote.
func (a *Authority) Ensure(certFile, keyFile string, leaf Leaf, now time.Time) (bool, error) {
	good, err := a.usable(certFile, keyFile, leaf, now)
	if err != nil || good {
		return false, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return false, fmt.Errorf("key for %s: %w", leaf.CommonName, err)
	}
	serial, err := newSerial()
	if err != nil {
		return false, err
	}
	notAfter := now.Add(leafLifetime)
	if a.Cert.NotAfter.Before(notAfter) {
		notAfter = a.Cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organization},
		DNSNames:     leaf.DNSNames,
		IPAddresses:  leaf.IPs,
		NotBefore:    now.Add(-backdate),
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{leaf.usage()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, key.Public(), a.Key)
	if err != nil {
		return false, fmt.Errorf("certificate for %s: %w", leaf.CommonName, err)
	}
	return true, writeCertificate(certFile, keyFile, der, key)
}

// usable tells whether the files hold what Ensure would write. Files that
// are absent or do not parse are simply not usable: a leaf can always be
// made again.
func (a *Authority) usable(certFile, keyFile string, leaf Leaf, now time.Time) (bool, error) {
	data, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c, err := parseOne(data)
	if err != nil {
		return false, nil //nolint:nilerr // what does not parse is replaced
	}
	key, err := loadKey(keyFile)
	if err != nil {
		return false, nil //nolint:nilerr // as above, the key is replaced with its certificate
	}
	sameIPs := slices.EqualFunc(c.IPAddresses, leaf.IPs, net.IP.Equal)
	return belongs(c, key) &&
		c.CheckSignatureFrom(a.Cert) == nil &&
		now.After(c.NotBefore) && now.Add(renewBefore).Before(c.NotAfter) &&
		c.Subject.CommonName == leaf.CommonName &&
		slices.Equal(c.Subject.Organization, leaf.Organization) &&
		slices.Equal(c.DNSNames, leaf.DNSNames) && sameIPs &&
		slices.Contains(c.ExtKeyUsage, leaf.usage()), nil
}

func parseOne(data []byte) (*x509.Certificate, error) {
	certs, err := cert.ParseCertsPEM(data)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}

func writeCertificate(certFile, keyFile string, der []byte, key crypto.Signer) error {
	if err := writeKey(keyFile, key); err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})
	if err := WriteFile(certFile, block, 0o644); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	return nil
}

func writeKey(file string, key crypto.Signer) error {
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err == nil {
		err = WriteFile(file, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	return nil
}

func writePublicKey(file string, key crypto.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: keyutil.PublicKeyBlockType, Bytes: der})
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := WriteFile(file, data, 0o644); err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	return nil
}
