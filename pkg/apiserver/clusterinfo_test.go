package apiserver

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func kubeconfigOf(t *testing.T, server, ca string) string {
	t.Helper()
	data, err := clientcmd.Write(clientcmdapi.Config{Clusters: map[string]*clientcmdapi.Cluster{"": {Server: server, CertificateAuthorityData: []byte(ca)}}})
	require.NoError(t, err)
	return string(data)
}

func TestClusterInfoIsKept(t *testing.T) {
	const ours, theirs = "https://a:5443", "https://b:5443"
	tests := map[string]struct {
		reason   string
		there    map[string]string // nil: no ConfigMap
		announce bool
		server   string // in the end
		written  bool
	}{
		"first start":             {"nothing is there yet", nil, true, ours, true},
		"another start":           {"it is good", map[string]string{"kubeconfig": kubeconfigOf(t, ours, "CA")}, true, ours, false},
		"start under a new name":  {"whoever starts last knows best", map[string]string{"kubeconfig": kubeconfigOf(t, theirs, "CA")}, true, ours, true},
		"another server's name":   {"two that insist would write for ever", map[string]string{"kubeconfig": kubeconfigOf(t, theirs, "CA")}, false, theirs, false},
		"another CA":              {"nobody could join", map[string]string{"kubeconfig": kubeconfigOf(t, ours, "other")}, false, ours, true},
		"no address":              {"nobody could join", map[string]string{"kubeconfig": kubeconfigOf(t, "", "CA")}, false, ours, true},
		"two clusters":            {"which one is it?", map[string]string{"kubeconfig": "apiVersion: v1\nkind: Config\nclusters: [{name: a}, {name: b}]\n"}, false, ours, true},
		"damaged":                 {"nobody could join", map[string]string{"kubeconfig": "?"}, false, ours, true},
		"emptied":                 {"nobody could join", map[string]string{}, false, ours, true},
		"deleted while it runs":   {"nobody could join", nil, false, ours, true},
		"signatures are not ours": {"they stay", map[string]string{"kubeconfig": "?", "jws-kubeconfig-abcdef": "x"}, false, ours, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			if tt.there != nil {
				_, err := client.CoreV1().ConfigMaps("kube-public").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cluster-info"}, Data: tt.there}, metav1.CreateOptions{})
				require.NoError(t, err)
			}
			client.ClearActions()
			c := &clusterInfo{client: client, server: ours, ca: []byte("CA")}
			require.NoError(t, c.ensure(t.Context(), tt.announce))
			assert.Equal(t, tt.written, len(client.Actions()) > 1, tt.reason)
			got, err := client.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "cluster-info", metav1.GetOptions{})
			require.NoError(t, err)
			config, err := clientcmd.Load([]byte(got.Data["kubeconfig"]))
			require.NoError(t, err)
			require.Len(t, config.Clusters, 1)
			assert.Equal(t, tt.server, config.Clusters[""].Server, tt.reason)
			assert.Equal(t, "CA", string(config.Clusters[""].CertificateAuthorityData))
			assert.Empty(t, config.AuthInfos, "nobody's credentials")
			assert.Equal(t, tt.there["jws-kubeconfig-abcdef"], got.Data["jws-kubeconfig-abcdef"])
		})
	}
}

func TestClusterInfoComesBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, []byte("CA"), 0o600))
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	c, err := newClusterInfo(client, factory.Core().V1().ConfigMaps(), "https://a:5443", file)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	done := make(chan struct{})
	go func() { defer close(done); c.run(ctx) }()
	there := func() bool {
		_, err := client.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "cluster-info", metav1.GetOptions{})
		return err == nil
	}
	require.Eventually(t, there, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, client.CoreV1().ConfigMaps("kube-public").Delete(t.Context(), "cluster-info", metav1.DeleteOptions{}))
	require.Eventually(t, there, 10*time.Second, 10*time.Millisecond)
	cancel()
	<-done
	factory.Shutdown()
	_, err = newClusterInfo(client, factory.Core().V1().ConfigMaps(), "x", "/no/such/file")
	require.Error(t, err)
}
