package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/keyutil"
)

const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is replaced.
	renewBefore = 30 * 24 * time.Hour
	// backdate tolerates clocks that are a little behind ours.
	backdate = time.Hour
)

// ErrMismatch says that a key file does not belong to its certificate.
var ErrMismatch = errors.New("private key does not belong to the certificate")

// Authority is a certificate authority held in two PEM files.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	// PEM is the certificate as it is in its file, for kubeconfigs.
	PEM []byte
}

// LoadAuthority reads an authority from its files. An error that matches
// fs.ErrNotExist means that it was not made yet.
func LoadAuthority(certFile, keyFile string) (*Authority, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	certificate, err := parseOne(certPEM)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", certFile, err)
	}
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if !belongs(certificate, key) {
		return nil, fmt.Errorf("authority %s and %s: %w", certFile, keyFile, ErrMismatch)
	}
	if !certificate.IsCA {
		return nil, fmt.Errorf("authority %s: the certificate is not one of an authority", certFile)
	}
	return &Authority{Cert: certificate, Key: key, PEM: certPEM}, nil
}

// EnsureAuthority reads the authority, or makes a self-signed one when there
// is none. An authority that exists but cannot be read is an error and never
// replaced: everything signed by it would stop working.
func EnsureAuthority(certFile, keyFile, commonName string, now time.Time) (*Authority, error) {
	// The certificate is written last, so without it there is no authority yet.
	if _, err := os.Stat(certFile); !errors.Is(err, fs.ErrNotExist) {
		return LoadAuthority(certFile, keyFile)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("authority key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", commonName, err)
	}
	if err := writeCertificate(certFile, keyFile, der, key); err != nil {
		return nil, err
	}
	return LoadAuthority(certFile, keyFile)
}

// EnsureSigningKey makes a key pair for signing tokens unless it is there:
// the private key in keyFile, the public one in publicFile.
func EnsureSigningKey(keyFile, publicFile string) error {
	key, err := loadKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			err = writeKey(keyFile, key)
		}
	}
	if err != nil {
		return fmt.Errorf("token signing key: %w", err)
	}
	return writePublicKey(publicFile, key.Public())
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("certificate serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

func loadKey(file string) (crypto.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a %T cannot sign", file, parsed)
	}
	return signer, nil
}

func belongs(c *x509.Certificate, key crypto.Signer) bool {
	public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}

// WriteFile replaces a file in one step, so that a reader sees the old
// content or the new, also when the process dies on the way.
func WriteFile(file string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
