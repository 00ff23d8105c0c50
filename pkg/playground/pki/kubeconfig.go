package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig is one cluster and one user, with everything inline so that the
// file works wherever it is copied to on this machine.
type Kubeconfig struct {
	// Name is used for cluster, user and context.
	Name string
	// Server is a URL.
	Server string
	// CA, ClientCert and ClientKey are PEM.
	CA, ClientCert, ClientKey []byte
}

// WriteFile renders the kubeconfig, readable by its owner only.
func (k Kubeconfig) WriteFile(file string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[k.Name] = &clientcmdapi.Cluster{Server: k.Server, CertificateAuthorityData: k.CA}
	config.AuthInfos[k.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: k.ClientCert, ClientKeyData: k.ClientKey}
	config.Contexts[k.Name] = &clientcmdapi.Context{Cluster: k.Name, AuthInfo: k.Name}
	config.CurrentContext = k.Name
	data, err := clientcmd.Write(*config)
	if err == nil {
		err = WriteFile(file, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("kubeconfig for %s: %w", k.Name, err)
	}
	return nil
}
