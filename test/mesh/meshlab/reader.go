package meshlab

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// RemoteSecret is the kubeconfig with which the istiod of a member reads a peer.
func (s *Session) RemoteSecret(in, peer string) (*clientcmdapi.Config, error) {
	name := "istio-remote-secret-" + peer
	secret, err := s.Mesh.Members[in].Core.CoreV1().Secrets(istiolab.Namespace).Get(s.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if len(secret.Data) != 1 || len(secret.Data[peer]) == 0 {
		return nil, fmt.Errorf("remote Secret %s of %s has %d keys, want only %s", name, in, len(secret.Data), peer)
	}
	return clientcmd.Load(secret.Data[peer])
}

// Token is the token in a remote secret.
func (s *Session) Token(in, peer string) string {
	s.Helper()
	config, err := s.RemoteSecret(in, peer)
	if err != nil {
		s.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		return user.Token
	}
	s.Fatalf("the remote secret of %s for %s has no user", in, peer)
	return ""
}

// With is a client of a member with a token, and nothing else.
func (m *Member) With(token string) (kubernetes.Interface, error) {
	config := rest.AnonymousClientConfig(m.Config)
	config.BearerToken = token
	return kubernetes.NewForConfig(config)
}
