package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 365 * 24 * time.Hour
	// clockSkew is how far the clock of a peer may be behind ours.
	clockSkew = 5 * time.Minute
)

var (
	// ErrKeyLost means that something others trust is there, and the private
	// key that goes with it is not.
	ErrKeyLost = errors.New("private key lost")
	// ErrExpired means that a CA has reached its end.
	ErrExpired = errors.New("certificate authority expired")
)

// Pair is a certificate with its private key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Leaf says what a certificate is for.
type Leaf struct {
	CommonName   string
	Organization []string
	Usage        x509.ExtKeyUsage
	DNSNames     []string
	IPs          []net.IP
}

// ensureCA loads the CA called name from dir, or makes one that lasts ten years.
func ensureCA(dir, name string, now time.Time) (Pair, error) {
	pair, err := load(dir, name)
	if err == nil {
		return pair, usable(pair, filepath.Join(dir, name), now)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return Pair{}, err
	}
	if _, statErr := os.Stat(filepath.Join(dir, name+".crt")); statErr == nil {
		return Pair{}, fmt.Errorf("%s is there but its key is not: put %s.key back; a new CA would cut off every agent: %w", filepath.Join(dir, name+".crt"), name, ErrKeyLost)
	}
	if pair, err = newCA(name, now); err != nil {
		return Pair{}, err
	}
	return pair, store(dir, name, pair)
}

// newCA makes a CA that lasts ten years.
func newCA(name string, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := serialNumber()
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "flotilla-" + name},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: cert, Key: key}, nil
}

// usable refuses a CA that is there and cannot do its work. It is not replaced:
// whoever trusts it has to be told.
func usable(ca Pair, path string, now time.Time) error {
	switch {
	case !ca.Cert.IsCA:
		return fmt.Errorf("%s.crt is not a CA certificate; put the right file back or remove it to have a new one made", path)
	case !ca.matches():
		return fmt.Errorf("%s.key is not the key of %s.crt: put the right one back; a new CA would cut off every agent: %w", path, path, ErrKeyLost)
	case now.After(ca.Cert.NotAfter):
		return fmt.Errorf("%s.crt ended on %s: move it and its key away to have a new CA made, and join every cluster again: %w",
			path, ca.Cert.NotAfter.Format(time.DateOnly), ErrExpired)
	}
	return nil
}

// ensureLeaf loads the certificate called name, or signs a new one when there
// is none, when it was signed by another CA, when a third of its life or less
// is left, when it does not carry every name of want, or when the key beside it
// is another one's: a process that ends between two writes leaves that behind.
func ensureLeaf(dir, name string, ca Pair, want Leaf, now time.Time) error {
	if pair, err := load(dir, name); err == nil && pair.Good(ca, want, now) {
		return nil
	}
	pair, err := Sign(ca, want, now)
	if err != nil {
		return fmt.Errorf("sign %s: %w", name, err)
	}
	return store(dir, name, pair)
}

// Sign makes a key and a certificate for it that lasts a year.
func Sign(ca Pair, leaf Leaf, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := serialNumber()
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organization},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(leafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{leaf.Usage},
		DNSNames:     leaf.DNSNames,
		IPAddresses:  leaf.IPs,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, key.Public(), ca.Key)
	if err != nil {
		return Pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: cert, Key: key}, nil
}

// Good says that the pair is what Sign would make of want, and lasts: more than a
// third of its life is left.
func (p Pair) Good(ca Pair, want Leaf, now time.Time) bool {
	return p.matches() && good(p.Cert, ca.Cert, want, now)
}

func good(cert, ca *x509.Certificate, want Leaf, now time.Time) bool {
	if cert.CheckSignatureFrom(ca) != nil || now.Before(cert.NotBefore) {
		return false
	}
	if left, life := cert.NotAfter.Sub(now), cert.NotAfter.Sub(cert.NotBefore); left <= life/3 {
		return false
	}
	if cert.Subject.CommonName != want.CommonName || !slices.Equal(cert.Subject.Organization, want.Organization) {
		return false
	}
	for _, name := range want.DNSNames {
		if !slices.Contains(cert.DNSNames, name) {
			return false
		}
	}
	for _, ip := range want.IPs {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// Load reads the pair called name (name.crt, name.key) from dir.
func Load(dir, name string) (Pair, error) { return load(dir, name) }

func load(dir, name string) (Pair, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if err != nil {
		return Pair{}, err
	}
	return Parse(filepath.Join(dir, name), certPEM, keyPEM)
}

// Parse reads a pair in PEM. Errors call it name.
func Parse(name string, certPEM, keyPEM []byte) (Pair, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return Pair{}, fmt.Errorf("%s: not PEM", name)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return Pair{}, fmt.Errorf("%s.crt: %w", name, err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return Pair{}, fmt.Errorf("%s.key: %w", name, err)
	}
	return Pair{Cert: cert, Key: key}, nil
}

// matches says whether the key is the certificate's.
func (p Pair) matches() bool {
	public, ok := p.Key.Public().(*ecdsa.PublicKey)
	return ok && public.Equal(p.Cert.PublicKey)
}

// PEM encodes the pair.
func (p Pair) PEM() (cert, key []byte, err error) {
	signer, ok := p.Key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("key of %s is a %T, want an EC key", p.Cert.Subject.CommonName, p.Key)
	}
	der, err := x509.MarshalECPrivateKey(signer)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})
	key = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return cert, key, nil
}

func store(dir, name string, pair Pair) error {
	cert, key, err := pair.PEM()
	if err != nil {
		return err
	}
	// The key goes first: a certificate without its key would be taken for a
	// lost CA, a key without a certificate is simply made anew.
	if err := WriteFile(filepath.Join(dir, name+".key"), key, 0o600); err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, name+".crt"), cert, 0o644)
}

// WriteFile replaces path by rename.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
