package credentials

import (
	"bytes"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// Keys of a component's Secret besides kubeconfig, which names them as files
// beside it.
const (
	certKey = "tls.crt"
	keyKey  = "tls.key"
	caKey   = "ca.crt"
)

// ensureKubeconfig leaves a kubeconfig that is good, or puts in a new one. People
// get theirs in one piece. That of a component names files: client-go reads those
// again when they change, and a component lives longer than its certificate.
func ensureKubeconfig(data map[string][]byte, caPEM []byte, ca pki.Pair, client pki.Client, server string, now time.Time) error {
	files := client.Leaf.CommonName != pki.AdminUser
	if good(data, files, caPEM, ca, client, server, now) {
		return nil
	}
	pair, err := pki.Sign(ca, client.Leaf, now)
	if err != nil {
		return err
	}
	cert, key, err := pair.PEM()
	if err != nil {
		return err
	}
	config := pki.Kubeconfig(server, client.Leaf.CommonName, caPEM, cert, key)
	if files {
		for _, cluster := range config.Clusters {
			cluster.CertificateAuthorityData, cluster.CertificateAuthority = nil, caKey
		}
		for _, user := range config.AuthInfos {
			*user = clientcmdapi.AuthInfo{ClientCertificate: certKey, ClientKey: keyKey}
		}
		data[caKey], data[certKey], data[keyKey] = caPEM, cert, key
	}
	data[kubeconfigKey], err = clientcmd.Write(config)
	return err
}

// good says that a kubeconfig works and will for a while. What cannot be read is
// not good.
func good(data map[string][]byte, files bool, caPEM []byte, ca pki.Pair, client pki.Client, server string, now time.Time) bool {
	config, err := clientcmd.Load(data[kubeconfigKey])
	if err != nil {
		return false
	}
	context := config.Contexts[config.CurrentContext]
	if context == nil {
		return false
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil || user == nil || cluster.Server != server {
		return false
	}
	if files {
		if cluster.CertificateAuthority != caKey || user.ClientCertificate != certKey || user.ClientKey != keyKey {
			return false
		}
		cluster.CertificateAuthorityData = data[caKey]
		user.ClientCertificateData, user.ClientKeyData = data[certKey], data[keyKey]
	}
	if !bytes.Equal(cluster.CertificateAuthorityData, caPEM) {
		return false
	}
	pair, err := pki.Parse(client.Name, user.ClientCertificateData, user.ClientKeyData)
	return err == nil && pair.Good(ca, client.Leaf, now)
}
