package playground

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certutil "k8s.io/client-go/util/cert"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

func TestAgentKubeconfig(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	ca, err := pki.EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "federation", now)
	require.NoError(t, err)
	base := filepath.Join(dir, "agents", "eu", "federation")

	moved, err := renewAgentKubeconfig(ca, base, "eu", "https://127.0.0.1:21000", now)
	require.NoError(t, err)
	require.False(t, moved, "there was no agent yet")
	first, err := clientConfig(base + ".kubeconfig")
	require.NoError(t, err)
	require.Equal(t, "https://127.0.0.1:21000", first.Host)
	certs, err := certutil.ParseCertsPEM(first.CertData)
	require.NoError(t, err)
	require.Equal(t, "system:cluster:eu", certs[0].Subject.CommonName)
	require.Equal(t, []string{"system:clusters"}, certs[0].Subject.Organization)

	moved, err = renewAgentKubeconfig(ca, base, "eu", "https://127.0.0.1:21000", now)
	require.NoError(t, err)
	require.False(t, moved)
	again, err := clientConfig(base + ".kubeconfig")
	require.NoError(t, err)
	require.Equal(t, first.CertData, again.CertData, "a good certificate is kept")

	moved, err = renewAgentKubeconfig(ca, base, "eu", "https://127.0.0.1:21001", now.Add(350*24*time.Hour))
	require.NoError(t, err)
	require.True(t, moved, "the running agent has the old address")
	renewed, err := clientConfig(base + ".kubeconfig")
	require.NoError(t, err)
	require.Equal(t, "https://127.0.0.1:21001", renewed.Host)
	require.NotEqual(t, first.CertData, renewed.CertData, "a certificate near its end is replaced")
}
