package apiserver

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
)

const plainText = "attack at dawn"

// raw is what etcd has under a key, behind the API server's back.
func raw(t *testing.T, endpoint, key string) []byte {
	t.Helper()
	client, err := etcd.Dial([]string{endpoint}, "", "", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	got, err := client.Get(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1, "%s", key)
	return got.Kvs[0].Value
}

func secretIn(ns, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, StringData: map[string]string{"k": plainText}}
}

func TestSecretsAreEncryptedInEtcd(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	create(t, secretIn(ns, "s"), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "c"}, Data: map[string]string{"k": plainText}})
	endpoint := "unix://" + filepath.Join(fed.opts.DataDir, "etcd", "etcd.sock")
	value := raw(t, endpoint, "/registry/secrets/"+ns+"/s")
	assert.True(t, bytes.HasPrefix(value, []byte("k8s:enc:secretbox:v1:")), "%q", value)
	assert.NotContains(t, string(value), plainText)
	assert.Contains(t, string(raw(t, endpoint, "/registry/configmaps/"+ns+"/c")), plainText, "the text would be found if it were there")

	join(t, "crypt")
	work := configMapWork("crypt", "w")
	create(t, work)
	value = raw(t, endpoint, "/registry/work.karmada.io/works/karmada-es-crypt/w")
	assert.True(t, bytes.HasPrefix(value, []byte("k8s:enc:secretbox:v1:")), "Works hold Secrets: %q", value)
}

// The key survives restarts, its loss is told, and data from before is read.
func TestKeysOfEncryption(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	key := filepath.Join(dir, "data", "pki", "encryption.yaml")
	flags := []string{"--data-dir=" + dir + "/data", "--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port)}
	// As before there was encryption.
	plain := filepath.Join(dir, "plain.yaml")
	require.NoError(t, os.WriteFile(plain, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{identity: {}}]}]\n"), 0o600))
	server := serve(t, dir, port, "--encryption-provider-config="+plain)
	require.NoFileExists(t, key)
	kube, err := kubernetes.NewForConfig(server.admin)
	require.NoError(t, err)
	secrets := kube.CoreV1().Secrets("default")
	_, err = secrets.Create(t.Context(), secretIn("default", "old"), metav1.CreateOptions{})
	require.NoError(t, err)
	endpoint := "unix://" + filepath.Join(dir, "data", "etcd", "etcd.sock")
	require.Contains(t, string(raw(t, endpoint, "/registry/secrets/default/old")), plainText)
	server.stop(t, syscall.SIGTERM)

	server = serve(t, dir, port)
	made := mustRead(t, key)
	info, err := os.Stat(key)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	old, err := secrets.Get(t.Context(), "old", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, plainText, string(old.Data["k"]), "what was written before is read")
	_, err = secrets.Update(t.Context(), old, metav1.UpdateOptions{})
	require.NoError(t, err)
	assert.NotContains(t, string(raw(t, endpoint, "/registry/secrets/default/old")), plainText, "and encrypted with the next write")
	_, err = secrets.Create(t.Context(), secretIn("default", "new"), metav1.CreateOptions{})
	require.NoError(t, err)
	server.stop(t, syscall.SIGKILL)

	server = serve(t, dir, port)
	require.Equal(t, made, mustRead(t, key), "the key stays")
	got, err := secrets.Get(t.Context(), "new", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, plainText, string(got.Data["k"]))
	server.stop(t, syscall.SIGTERM)

	require.NoError(t, os.Rename(key, key+".lost"))
	said := spawn(t, flags...).failed(t)
	assert.Contains(t, said, key, "the file")
	assert.Contains(t, said, "put the file back", "and what to do")
	require.NoFileExists(t, key, "no new key takes its place")
	// Another federation's.
	require.NoError(t, os.WriteFile(key, []byte(mustRead(t, filepath.Join(fed.opts.DataDir, "pki", "encryption.yaml"))), 0o600))
	assert.Contains(t, spawn(t, flags...).failed(t), "no key in "+key)
	missing := filepath.Join(dir, "missing.yaml")
	assert.Contains(t, spawn(t, append(flags, "--encryption-provider-config="+missing)...).failed(t), missing, "a file that is named is not made")

	require.NoError(t, os.Rename(key+".lost", key))
	server = serve(t, dir, port)
	_, err = secrets.Get(t.Context(), "new", metav1.GetOptions{})
	require.NoError(t, err, "put back, all is well")
	server.stop(t, syscall.SIGTERM)
}
