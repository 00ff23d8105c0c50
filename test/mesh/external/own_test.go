package external

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// TestACAThatIsThere: clusters have a CA that a person has made, and keep it in a mesh that
// is told its root and nothing else.
func TestACAThatIsThere(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1})
	top, versions := root(t, time.Hour), map[string]string{}
	for _, member := range meshlab.Names {
		secrets := shared.Members[member].Core.CoreV1().Secrets(istiolab.Namespace)
		s.Run(member, "delete", "secret", "cacerts", "--namespace="+istiolab.Namespace, "--ignore-not-found")
		signer := top.below("Mesh of " + member)
		made, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cacerts"}, Data: map[string][]byte{
			"ca-cert.pem": signer.pem(), "ca-key.pem": signer.key(), "cert-chain.pem": signer.chain(), "root-cert.pem": top.pem(),
		}}, metav1.CreateOptions{})
		require.NoError(t, err)
		versions[member] = made.ResourceVersion
	}
	require.NoError(t, shared.RestartIstiods(t.Context()))

	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names, fmt.Sprintf(
		"trust: {mode: External, secretRef: {namespace: %s, name: %s}, workloadCertificateLifetime: %s}", namespace, name, meshlab.CertificateLifetime)))
	give(s, map[string][]byte{"root-cert.pem": top.pem()}, 0)
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	load := s.StartLoad("eu")
	load.Answers(5, meshlab.Names...)
	load.Stop()
	for member, version := range versions {
		trusts(s, member, top)
		now, err := shared.Members[member].Core.CoreV1().Secrets(istiolab.Namespace).Get(t.Context(), "cacerts", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, version, now.ResourceVersion, "nobody has written the CA of %s", member)
		s.Run(member, "delete", "secret", "cacerts", "--namespace="+istiolab.Namespace)
	}
	s.Run(lab.Fed, "delete", "secret", "--namespace="+namespace, name)
}
