package credentials

import (
	"bytes"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// kubeconfig returns the one that is there, or a new one if it is not good.
func kubeconfig(there, caPEM []byte, ca pki.Pair, client pki.Client, server string, now time.Time) ([]byte, error) {
	if good(there, caPEM, ca, client, server, now) {
		return there, nil
	}
	pair, err := pki.Sign(ca, client.Leaf, now)
	if err != nil {
		return nil, err
	}
	cert, key, err := pair.PEM()
	if err != nil {
		return nil, err
	}
	return clientcmd.Write(pki.Kubeconfig(server, client.Leaf.CommonName, caPEM, cert, key))
}

// good says that a kubeconfig works and will for a while. What cannot be read is
// not good.
func good(data, caPEM []byte, ca pki.Pair, client pki.Client, server string, now time.Time) bool {
	config, err := clientcmd.Load(data)
	if err != nil {
		return false
	}
	context := config.Contexts[config.CurrentContext]
	if context == nil {
		return false
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil || user == nil || cluster.Server != server || !bytes.Equal(cluster.CertificateAuthorityData, caPEM) {
		return false
	}
	pair, err := pki.Parse(client.Name, user.ClientCertificateData, user.ClientKeyData)
	return err == nil && pair.Good(ca, client.Leaf, now)
}
