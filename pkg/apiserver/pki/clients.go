package pki

import (
	"crypto/x509"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// User names of the components. ClusterRoles of the same names say what they may.
const (
	ControllerManagerUser = "system:flotilla:controller-manager"
	SchedulerUser         = "system:flotilla:scheduler"
	// AdminUser has all rights, by its group.
	AdminUser = "flotilla-admin"
)

// Client is somebody that the CA vouches for with a certificate.
type Client struct {
	// Name is that of the files: name.crt, name.key.
	Name string
	Leaf Leaf
}

// Clients are the administrator and the components that have a certificate made
// for them.
func Clients() []Client {
	return []Client{
		{"admin", Leaf{CommonName: AdminUser, Organization: []string{"system:masters"}, Usage: x509.ExtKeyUsageClientAuth}},
		{"controller-manager", Leaf{CommonName: ControllerManagerUser, Usage: x509.ExtKeyUsageClientAuth}},
		{"scheduler", Leaf{CommonName: SchedulerUser, Usage: x509.ExtKeyUsageClientAuth}},
	}
}

// WriteKubeconfig writes an admin kubeconfig for server (https://host:port) to
// path, with everything inline. It leaves an equal file untouched.
func WriteKubeconfig(files Files, server, path string) error {
	return writeKubeconfig(files, Clients()[0], server, path)
}

// WriteComponentKubeconfigs writes kubeconfigs of the components beside their
// certificates, as <name>.kubeconfig.
func WriteComponentKubeconfigs(files Files, server string) error {
	for _, client := range Clients()[1:] {
		if err := writeKubeconfig(files, client, server, files.path(client.Name+".kubeconfig")); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(files Files, client Client, server, path string) error {
	ca, err := os.ReadFile(files.CA())
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(files.path(client.Name + ".crt"))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(files.path(client.Name + ".key"))
	if err != nil {
		return err
	}
	data, err := clientcmd.Write(Kubeconfig(server, client.Leaf.CommonName, ca, cert, key))
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
