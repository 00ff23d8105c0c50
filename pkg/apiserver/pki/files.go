package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Files are the paths of everything Ensure made.
type Files struct {
	// Authorities has what others trust: CAs and the key of service accounts.
	Authorities string
	// Dir has the certificates those signed. It may be the same directory.
	Dir string
}

func (f Files) path(name string) string { return filepath.Join(f.Dir, name) }

func (f Files) authority(name string) string { return filepath.Join(f.Authorities, name) }

// CA is the certificate that clients and servers are verified with.
func (f Files) CA() string { return f.authority("ca.crt") }

// CAKey signs for the CA.
func (f Files) CAKey() string { return f.authority("ca.key") }

// ServingCert is the API server's own certificate.
func (f Files) ServingCert() string { return f.path("serving.crt") }

// ServingKey is the key of ServingCert.
func (f Files) ServingKey() string { return f.path("serving.key") }

// FrontProxyCA is the certificate that front proxies are verified with.
func (f Files) FrontProxyCA() string { return f.authority("front-proxy-ca.crt") }

// FrontProxyCert is the aggregator's client certificate.
func (f Files) FrontProxyCert() string { return f.path("front-proxy-client.crt") }

// FrontProxyKey is the key of FrontProxyCert.
func (f Files) FrontProxyKey() string { return f.path("front-proxy-client.key") }

// ServiceAccount is the key that signs service account tokens.
func (f Files) ServiceAccount() string { return f.authority("sa.key") }

// ServiceAccountPub verifies service account tokens.
func (f Files) ServiceAccountPub() string { return f.authority("sa.pub") }

// FrontProxyName is the common name of the aggregator's client certificate.
const FrontProxyName = "flotilla-front-proxy"

// Ensure makes what is missing in dir and renews what is about to end.
// hosts are the names and addresses the serving certificate must carry.
func Ensure(dir string, hosts []string, now time.Time) (Files, error) {
	files := Files{Authorities: dir, Dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return files, err
	}
	ca, err := ensureCA(dir, "ca", now)
	if err != nil {
		return files, fmt.Errorf("federation CA: %w", err)
	}
	frontProxyCA, err := ensureCA(dir, "front-proxy-ca", now)
	if err != nil {
		return files, fmt.Errorf("front proxy CA: %w", err)
	}
	if err := ensureLeaves(dir, ca, frontProxyCA, hosts, now); err != nil {
		return files, err
	}
	return files, ensureServiceAccountKey(files)
}

// EnsureLeaves makes and renews certificates in dir that are signed by the
// authorities in another directory. That one is only read, and has to be complete.
func EnsureLeaves(authorities, dir string, hosts []string, now time.Time) (Files, error) {
	files := Files{Authorities: authorities, Dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return files, err
	}
	var pairs [2]Pair
	for i, name := range []string{"ca", "front-proxy-ca"} {
		pair, err := load(authorities, name)
		if err == nil {
			err = usable(pair, filepath.Join(authorities, name), now)
		}
		if err != nil {
			return files, incomplete(err)
		}
		pairs[i] = pair
	}
	for _, path := range []string{files.ServiceAccount(), files.ServiceAccountPub()} {
		if _, err := os.ReadFile(path); err != nil {
			return files, incomplete(err)
		}
	}
	return files, ensureLeaves(dir, pairs[0], pairs[1], hosts, now)
}

// incomplete says what to do about authorities that are not all there.
func incomplete(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: this directory is only read; \"apiserver credentials\" makes a Secret with everything that belongs there", err)
	}
	return err
}

func ensureLeaves(dir string, ca, frontProxyCA Pair, hosts []string, now time.Time) error {
	serving := Leaf{CommonName: "flotilla-apiserver", Usage: x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			serving.IPs = append(serving.IPs, ip)
		} else {
			serving.DNSNames = append(serving.DNSNames, host)
		}
	}
	if err := ensureLeaf(dir, "serving", ca, serving, now); err != nil {
		return err
	}
	for _, client := range Clients() {
		if err := ensureLeaf(dir, client.Name, ca, client.Leaf, now); err != nil {
			return err
		}
	}
	return ensureLeaf(dir, "front-proxy-client", frontProxyCA, Leaf{CommonName: FrontProxyName, Usage: x509.ExtKeyUsageClientAuth}, now)
}

func ensureServiceAccountKey(files Files) error {
	if _, err := os.Stat(files.ServiceAccount()); err == nil {
		if _, err := os.Stat(files.ServiceAccountPub()); err == nil {
			return nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := serviceAccountKey(files)
	if err != nil {
		return err
	}
	pub, err := publicPEM(key)
	if err != nil {
		return err
	}
	return WriteFile(files.ServiceAccountPub(), pub, 0o644)
}

// serviceAccountKey loads the signing key: one that is there is never replaced,
// every token ever issued hangs on it.
func serviceAccountKey(files Files) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(files.ServiceAccount())
	if err == nil {
		block, _ := pem.Decode(data)
		if block == nil {
			return nil, fmt.Errorf("%s: not PEM", files.ServiceAccount())
		}
		return x509.ParseECPrivateKey(block.Bytes)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(files.ServiceAccountPub()); err == nil {
		return nil, fmt.Errorf("%s is there but its key is not: put %s back, or remove both and have every service account token issued anew: %w",
			files.ServiceAccountPub(), filepath.Base(files.ServiceAccount()), ErrKeyLost)
	}
	key, keyPEM, err := newServiceAccountKey()
	if err != nil {
		return nil, err
	}
	return key, WriteFile(files.ServiceAccount(), keyPEM, 0o600)
}

func newServiceAccountKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func publicPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
