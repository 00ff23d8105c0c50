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

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Files are the paths of everything Ensure made.
type Files struct{ Dir string }

func (f Files) path(name string) string { return filepath.Join(f.Dir, name) }

// CA is the certificate that clients and servers are verified with.
func (f Files) CA() string { return f.path("ca.crt") }

// CAKey signs for the CA.
func (f Files) CAKey() string { return f.path("ca.key") }

// ServingCert is the API server's own certificate.
func (f Files) ServingCert() string { return f.path("serving.crt") }

// ServingKey is the key of ServingCert.
func (f Files) ServingKey() string { return f.path("serving.key") }

// FrontProxyCA is the certificate that front proxies are verified with.
func (f Files) FrontProxyCA() string { return f.path("front-proxy-ca.crt") }

// FrontProxyCert is the aggregator's client certificate.
func (f Files) FrontProxyCert() string { return f.path("front-proxy-client.crt") }

// FrontProxyKey is the key of FrontProxyCert.
func (f Files) FrontProxyKey() string { return f.path("front-proxy-client.key") }

// ServiceAccount is the key that signs service account tokens.
func (f Files) ServiceAccount() string { return f.path("sa.key") }

// ServiceAccountPub verifies service account tokens.
func (f Files) ServiceAccountPub() string { return f.path("sa.pub") }

// FrontProxyName is the common name of the aggregator's client certificate.
const FrontProxyName = "flotilla-front-proxy"

// Ensure makes what is missing in dir and renews what is about to end.
// hosts are the names and addresses the serving certificate must carry.
func Ensure(dir string, hosts []string, now time.Time) (Files, error) {
	files := Files{Dir: dir}
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
	serving := Leaf{CommonName: "flotilla-apiserver", Usage: x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			serving.IPs = append(serving.IPs, ip)
		} else {
			serving.DNSNames = append(serving.DNSNames, host)
		}
	}
	for name, leaf := range map[string]struct {
		ca   Pair
		want Leaf
	}{
		"serving":            {ca, serving},
		"admin":              {ca, Leaf{CommonName: "flotilla-admin", Organization: []string{"system:masters"}, Usage: x509.ExtKeyUsageClientAuth}},
		"front-proxy-client": {frontProxyCA, Leaf{CommonName: FrontProxyName, Usage: x509.ExtKeyUsageClientAuth}},
	} {
		if _, err := ensureLeaf(dir, name, leaf.ca, leaf.want, now); err != nil {
			return files, err
		}
	}
	return files, ensureServiceAccountKey(files)
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
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return WriteFile(files.ServiceAccountPub(), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), 0o644)
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, WriteFile(files.ServiceAccount(), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// WriteKubeconfig writes an admin kubeconfig for server (https://host:port) to
// path, with everything inline. It leaves an equal file untouched.
func WriteKubeconfig(files Files, server, path string) error {
	ca, err := os.ReadFile(files.CA())
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(files.path("admin.crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(files.path("admin.key"))
	if err != nil {
		return err
	}
	return writeKubeconfig(path, server, "flotilla-admin", ca, cert, key)
}

func writeKubeconfig(path, server, user string, ca, cert, key []byte) error {
	data, err := clientcmd.Write(Kubeconfig(server, user, ca, cert, key))
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return WriteFile(path, data, 0o600)
}

// Kubeconfig is a configuration with one context, called flotilla.
func Kubeconfig(server, user string, ca, cert, key []byte) clientcmdapi.Config {
	const name = "flotilla"
	return clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: {ClientCertificateData: cert, ClientKeyData: key}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: user}},
		CurrentContext: name,
	}
}
