package remotesecret

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// Marks by which istiod finds a remote secret.
const (
	// MultiClusterLabel is "true" on it.
	MultiClusterLabel = "istio/multiCluster"
	// ClusterAnnotation names the peer on it.
	ClusterAnnotation = "networking.istio.io/cluster"
	// namePrefix begins its name; the peer's follows.
	namePrefix = "istio-remote-secret-"
)

// ErrToken means that a Secret with a reader's token is not usable.
var ErrToken = errors.New("the reader's token cannot be used")

// Token is what a peer can be read with.
type Token struct {
	// Bearer is the token itself.
	Bearer string
	// CA of the peer's API server, PEM.
	CA []byte
	// Server is its URL.
	Server string
	// Expires is when Bearer ends.
	Expires time.Time
}

// Data is the reverse of ParseToken.
func (t *Token) Data() map[string][]byte {
	return map[string][]byte{
		meshv1alpha1.ReaderTokenKey:   []byte(t.Bearer),
		meshv1alpha1.ReaderCAKey:      t.CA,
		meshv1alpha1.ReaderServerKey:  []byte(t.Server),
		meshv1alpha1.ReaderExpiresKey: []byte(t.Expires.UTC().Format(time.RFC3339)),
	}
}

// Hash tells tokens apart without giving them away.
func (t *Token) Hash() string { return hash([]byte(t.Bearer)) }

// Name of the remote secret for a peer, in istio-system.
func Name(peer string) string { return namePrefix + peer }

// Secret is the remote secret for a peer. Its one key is the peer's cluster ID,
// which must be the CLUSTER_ID of its istiod. It must never be written into the
// peer itself.
func Secret(mesh, peer string, token *Token) (*corev1.Secret, error) {
	config, err := kubeconfig(peer, token)
	if err != nil {
		return nil, fmt.Errorf("remote secret for cluster %s: %w", peer, err)
	}
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   meshv1alpha1.IstioNamespace,
			Name:        Name(peer),
			Labels:      map[string]string{MultiClusterLabel: "true", meshv1alpha1.MeshLabel: mesh},
			Annotations: map[string]string{ClusterAnnotation: peer},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{peer: config},
	}, nil
}

// SecretHash is what an agent reports of a remote secret for a peer: the hash of
// its kubeconfig; empty when it has none.
func SecretHash(peer string, data map[string][]byte) string {
	config, ok := data[peer]
	if !ok {
		return ""
	}
	return hash(config)
}

// kubeconfig has the token written into it: istiod refuses files and commands. The
// same token gives the same bytes, by which istiod knows that nothing has changed.
func kubeconfig(peer string, token *Token) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[peer] = &clientcmdapi.Cluster{Server: token.Server, CertificateAuthorityData: token.CA}
	config.AuthInfos[peer] = &clientcmdapi.AuthInfo{Token: token.Bearer}
	config.Contexts[peer] = &clientcmdapi.Context{Cluster: peer, AuthInfo: peer}
	config.CurrentContext = peer
	text, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	return text, nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
