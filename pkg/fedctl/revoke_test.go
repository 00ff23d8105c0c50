package fedctl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// newCSR is a request to become the agent of a cluster.
func newCSR(t *testing.T, name, cluster string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:cluster:" + cluster, Organization: []string{"system:clusters"}},
	}, key)
	require.NoError(t, err)
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: raw}),
		},
	}
}

func (d *desk) revokedAt(cluster string) string {
	d.t.Helper()
	revoked := &corev1.ConfigMap{}
	require.NoError(d.t, d.federation.Get(d.t.Context(), client.ObjectKey{Namespace: "kube-system", Name: "flotilla-revoked-agents"}, revoked))
	return revoked.Data[cluster]
}

func (d *desk) requests() (names []string) {
	d.t.Helper()
	list := &certificatesv1.CertificateSigningRequestList{}
	require.NoError(d.t, d.federation.List(d.t.Context(), list))
	for _, request := range list.Items {
		names = append(names, request.Name)
	}
	return names
}

func TestARequestDoesNotOutliveTheRevocation(t *testing.T) {
	byHand := newCSR(t, "named-by-hand", "eu")
	broken := newCSR(t, "broken", "eu")
	broken.Spec.Request = []byte("x")
	d := newDesk(t, newCluster("eu", "uid-member", clusterv1alpha1.Pull), newCSR(t, "agent-eu-pending", "eu"), byHand, broken, newCSR(t, "agent-eu-west-1", "eu-west"))
	d.types("token create --cluster eu --print-only-token")
	pauses, last := 0, time.Time{}
	var waited time.Duration
	d.meanwhile = func(by time.Duration) {
		pauses++
		waited += by
		require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: "eu"}, &clusterv1alpha1.Cluster{}), "the Cluster goes last: the agent would bring it back")
		switch pauses {
		case 1:
			require.GreaterOrEqual(t, by, 10*time.Second, "API servers take a deleted token so long")
			require.NotEmpty(t, d.revokedAt("eu"), "what is out is void at once")
			fallthrough
		case 2: // with the token that an API server remembers, and with the certificate of that
			require.NoError(t, d.federation.Create(t.Context(), newCSR(t, "agent-eu-late", "eu")))
			last = d.now.Add(by)
		}
	}
	require.Contains(t, d.types("unregister eu"), "deleted 1 token and 4 certificate requests")
	require.ElementsMatch(t, []string{"agent-eu-west-1", "broken"}, d.requests(), "those of others stay")
	at, err := time.Parse(time.RFC3339, d.revokedAt("eu"))
	require.NoError(t, err)
	require.True(t, at.After(last), "what was signed until the last request was deleted is revoked: %s, %s", at, last)
	require.True(t, d.now.After(at), "who joins now does")
	require.Equal(t, 4, pauses)
	require.True(t, apierrors.IsNotFound(d.federation.Get(t.Context(), client.ObjectKey{Name: "eu"}, &clusterv1alpha1.Cluster{})))
}

func TestARevocationIsNotTakenBack(t *testing.T) {
	for name, text := range map[string]string{"in the future": "2031-01-01T00:00:00Z", "not a time": "all of them"} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "flotilla-revoked-agents"},
				Data:       map[string]string{"eu": text, "ap": text},
			})
			out := d.types("unregister eu")
			require.Equal(t, text, d.revokedAt("eu"), "it revokes more than now would")
			require.Contains(t, out, "Warning: ConfigMap kube-system/flotilla-revoked-agents")
			require.Contains(t, out, text)
		})
	}
	t.Run("earlier", func(t *testing.T) {
		d := newDesk(t, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "flotilla-revoked-agents"},
			Data:       map[string]string{"eu": "2020-01-01T00:00:00Z", "ap": "2020-01-01T00:00:00Z"},
		})
		require.NotContains(t, d.types("unregister eu"), "Warning")
		require.Greater(t, d.revokedAt("eu"), "2026")
		require.Equal(t, "2020-01-01T00:00:00Z", d.revokedAt("ap"))
	})
}
