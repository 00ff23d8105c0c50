package apiserver

import (
	"context"
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
	"github.com/flotilla-io/flotilla/test/ports"
)

func freePort(t *testing.T) int {
	t.Helper()
	port, err := ports.Free()
	require.NoError(t, err)
	return port
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// One federation is stopped, killed and started again, with watches open all
// the time. Clients go on with the kubeconfig they have.
func TestRestarts(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	server := serve(t, dir, port)
	c, err := client.New(server.admin, client.Options{Scheme: fed.Scheme()})
	require.NoError(t, err)
	dyn, err := dynamic.NewForConfig(server.admin)
	require.NoError(t, err)

	cluster := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: "Pull"}}
	require.NoError(t, c.Create(t.Context(), cluster))
	require.NoError(t, c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "karmada-es-eu"}}))
	require.NoError(t, c.Create(t.Context(), policy("default", "p", allDeployments)))
	d := deployment("default", "web")
	require.NoError(t, c.Create(t.Context(), d))
	b := bindingFor(t, d, "default", "web-deployment", "eu")
	require.NoError(t, c.Create(t.Context(), b))
	inEU := dyn.Resource(works).Namespace("karmada-es-eu")
	name := names.WorkName("Deployment", "default", "web")
	eventually(t, func() bool { _, err := inEU.Get(t.Context(), name, metav1.GetOptions{}); return err == nil }, "the work")
	uid := uidOf(t, inEU, name)
	list, err := inEU.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range []string{"data/pki/ca.crt", "data/pki/serving.crt", "data/pki/sa.key", "admin.conf"} {
		files[f] = mustRead(t, filepath.Join(dir, f))
	}
	federation := &corev1.Namespace{}
	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, federation))

	for round, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL, os.Interrupt} {
		if round == 0 {
			second := spawn(t, "--data-dir="+dir+"/data", "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(freePort(t)))
			said := second.failed(t)
			assert.Contains(t, said, dir+"/data", "the directory")
			assert.Contains(t, said, strconv.Itoa(server.cmd.Process.Pid), "and who has it")
			taken := spawn(t, "--data-dir="+t.TempDir(), "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port))
			assert.Contains(t, taken.failed(t), strconv.Itoa(port), "a port that is taken")
			require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(d), d), "the first goes on")
		}
		var watches sync.WaitGroup
		for range 20 {
			w, err := inEU.Watch(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			watches.Go(func() {
				for range w.ResultChan() {
				}
			})
			pods, err := dyn.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Watch(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			watches.Go(func() {
				for range pods.ResultChan() {
				}
			})
		}
		took := server.stop(t, signal)
		assert.Less(t, took, 10*time.Second, "%s with open watches", signal)
		watches.Wait()

		server = serve(t, dir, port)
		for f, before := range files {
			assert.Equal(t, before, mustRead(t, filepath.Join(dir, f)), "%s after %s", f, signal)
		}
		require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(d), d), "the old client goes on")
		again := &corev1.Namespace{}
		require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, again))
		assert.Equal(t, federation.UID, again.UID, "it is the same federation")

		_, err = inEU.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
		assert.True(t, apierrors.IsResourceExpired(err) || apierrors.IsGone(err), "a watch of another run: %v", err)
		before := len(list.Items)
		list, err = inEU.List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err, "ready means that Works can be listed")
		assert.Len(t, list.Items, before, "all of them, at once")
		assert.Equal(t, uid, uidOf(t, inEU, name), "the Work is the same")
	}
	server.stop(t, syscall.SIGTERM)
}

func uidOf(t *testing.T, of dynamic.ResourceInterface, name string) string {
	t.Helper()
	w, err := of.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return string(w.GetUID())
}

func TestBadFlagsEndTheServer(t *testing.T) {
	tests := map[string]struct {
		flags []string
		want  string
	}{
		"nothing":         {[]string{"--secure-port=1"}, "--data-dir"},
		"unknown":         {[]string{"--no-such-flag"}, "no-such-flag"},
		"not a directory": {[]string{"--data-dir=/dev/null/x"}, "--data-dir"},
		"etcd CA is not there": {[]string{"--data-dir=" + t.TempDir(), "--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(freePort(t)),
			"--etcd-servers=https://127.0.0.1:1", "--etcd-cafile=/no/such/file"}, "/no/such/file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, spawn(t, tt.flags...).failed(t), tt.want)
		})
	}
}

// An etcd of one's own, with certificates in both directions.
func TestExternalEtcd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	_, err := pki.Ensure(keys, []string{"127.0.0.1", "localhost"}, time.Now())
	require.NoError(t, err)
	ca, err := pki.Load(keys, "ca")
	require.NoError(t, err)
	pair, err := pki.Sign(ca, pki.Leaf{CommonName: "flotilla", Usage: x509.ExtKeyUsageClientAuth}, time.Now())
	require.NoError(t, err)
	cert, key, err := pair.PEM()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(keys, "client.crt"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(keys, "client.key"), key, 0o600))

	endpoint := "https://127.0.0.1:" + strconv.Itoa(freePort(t))
	etcd := startEtcd(t, filepath.Join(dir, "etcd"), endpoint, keys)
	defer etcd.Close()
	flags := []string{"--etcd-servers=" + endpoint, "--etcd-cafile=" + filepath.Join(keys, "ca.crt"),
		"--etcd-certfile=" + filepath.Join(keys, "client.crt"), "--etcd-keyfile=" + filepath.Join(keys, "client.key"), "--etcd-prefix=/fleet"}
	server := serve(t, filepath.Join(dir, "one"), freePort(t), flags...)
	c, err := client.New(server.admin, client.Options{Scheme: fed.Scheme()})
	require.NoError(t, err)
	require.NoError(t, c.Create(t.Context(), policy("default", "p", allDeployments)))
	_, err = os.Stat(filepath.Join(dir, "one", "data", "etcd"))
	require.ErrorIs(t, err, os.ErrNotExist, "no etcd of its own")

	got, err := etcd.Server.KV().Range(context.Background(), []byte("/fleet/"), []byte("/fleet0"), mvcc.RangeOptions{})
	require.NoError(t, err)
	assert.NotEmpty(t, got.KVs)
	var ours bool
	for _, kv := range got.KVs {
		ours = ours || string(kv.Key) == "/fleet/policy.karmada.io/propagationpolicies/default/p"
	}
	assert.True(t, ours, "policies are there, too")
	require.NoError(t, c.Create(t.Context(), secretIn("default", "s")))
	got, err = etcd.Server.KV().Range(context.Background(), []byte("/fleet/secrets/default/s"), nil, mvcc.RangeOptions{})
	require.NoError(t, err)
	require.Len(t, got.KVs, 1)
	assert.NotContains(t, string(got.KVs[0].Value), plainText, "Secrets are encrypted there, too")

	// A second server over the same etcd, with the same keys: what one writes
	// the other serves, claims included.
	other := filepath.Join(dir, "two")
	require.NoError(t, os.CopyFS(filepath.Join(other, "data", "pki"), os.DirFS(filepath.Join(dir, "one", "data", "pki"))))
	second := serve(t, other, freePort(t), flags...)
	c2, err := client.New(second.admin, client.Options{Scheme: fed.Scheme()})
	require.NoError(t, err)
	d := deployment("default", "web")
	require.NoError(t, c2.Create(t.Context(), d))
	secret := &corev1.Secret{}
	require.NoError(t, c2.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "s"}, secret))
	assert.Equal(t, plainText, string(secret.Data["k"]), "with the same key")
	assert.Equal(t, "p", d.Annotations[names.PropagationPolicyNameAnnotation], "claimed for a policy that the first server took")
	require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(d), d))
	assert.Less(t, second.stop(t, syscall.SIGTERM), 10*time.Second)
	assert.Less(t, server.stop(t, syscall.SIGTERM), 10*time.Second)
}

func startEtcd(t *testing.T, dir, endpoint, keys string) *embed.Etcd {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.EnableGRPCGateway = dir, "fatal", false
	u, err := url.Parse(endpoint)
	require.NoError(t, err)
	peer, err := url.Parse("http://127.0.0.1:" + strconv.Itoa(freePort(t)))
	require.NoError(t, err)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*u}, []url.URL{*u}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: filepath.Join(keys, "serving.crt"), KeyFile: filepath.Join(keys, "serving.key"),
		ClientCertAuth: true, TrustedCAFile: filepath.Join(keys, "ca.crt"),
	}
	etcd, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(patience):
		require.FailNow(t, "etcd is not ready")
	}
	return etcd
}

// In process, too: what fails to start lets go of everything.
func TestLockedDirectoryInProcess(t *testing.T) {
	opts := *fed.opts
	opts.SecurePort = freePort(t)
	_, err := apiserver.New(t.Context(), &opts)
	require.ErrorIs(t, err, apiserver.ErrDataDirInUse)
}
