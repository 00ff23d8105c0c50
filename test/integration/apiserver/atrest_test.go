package apiserver

import (
	"bytes"
	"context"
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

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver/encryption"
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

// What a mesh keeps and hands on: roots and their keys, tokens of readers, and the
// intermediates of clusters with theirs.
func TestSecretsOfAMeshAreEncryptedInEtcd(t *testing.T) {
	t.Parallel()
	join(t, "sealed")
	trust := secretIn(names.SystemNamespace, meshv1alpha1.TrustSecretName("sealed"))
	trust.Type = meshv1alpha1.TrustSecretType
	ca := configMapWork("sealed", "mesh.sealed.ca")
	ca.Spec.Workload.Manifests[0].Raw = []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"cacerts","namespace":"istio-system"},"stringData":{"ca-key.pem":"` + plainText + `"}}`)
	member := meshMember("sealed", "sealed")
	member.Annotations = map[string]string{"k": plainText}
	create(t, trust, readerToken("sealed", "sealed"), ca, member)
	t.Cleanup(func() { assert.NoError(t, fed.Delete(context.Background(), trust)) })
	endpoint := "unix://" + filepath.Join(fed.opts.DataDir, "etcd", "etcd.sock")
	for _, key := range []string{
		"secrets/karmada-system/mesh-trust-sealed",
		"secrets/karmada-es-sealed/mesh-reader-sealed",
		"work.karmada.io/works/karmada-es-sealed/mesh.sealed.ca",
	} {
		value := raw(t, endpoint, "/registry/"+key)
		assert.True(t, bytes.HasPrefix(value, []byte("k8s:enc:secretbox:v1:")), "%s: %q", key, value)
		assert.NotContains(t, string(value), plainText, key)
	}
	assert.Contains(t, string(raw(t, endpoint, "/registry/mesh.flotilla.io/meshmembers/karmada-es-sealed/sealed")), plainText, "the text would be found if it were there")
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

	// The whole directory is lost: nothing takes its place.
	pki := filepath.Join(dir, "data", "pki")
	require.NoError(t, os.Rename(pki, pki+".lost"))
	said = spawn(t, flags...).failed(t)
	assert.Contains(t, said, pki)
	assert.Contains(t, said, "put the directory back")
	require.NoFileExists(t, filepath.Join(pki, "ca.crt"), "no CA takes the place of the lost one")
	// The key of encryption alone was kept apart.
	require.NoError(t, os.MkdirAll(pki, 0o700))
	require.NoError(t, os.WriteFile(key, []byte(made), 0o600))
	assert.Contains(t, spawn(t, flags...).failed(t), "put the directory back")
	require.NoFileExists(t, filepath.Join(pki, "ca.crt"))
}

// Two servers over one etcd, each with a data directory of its own.
func TestASecondServerHasTheSameKeys(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	serve(t, dir, port)
	endpoint := "unix://" + filepath.Join(dir, "data", "etcd", "etcd.sock")
	second := filepath.Join(t.TempDir(), "data")
	flags := []string{"--data-dir=" + second, "--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(freePort(t)), "--etcd-servers=" + endpoint}
	assert.Contains(t, spawn(t, flags...).failed(t), "put the directory back", "it would make a CA of its own")

	// The CA came along, the key of encryption did not, and nothing is encrypted yet.
	require.NoError(t, os.CopyFS(filepath.Join(second, "pki"), os.DirFS(filepath.Join(dir, "data", "pki"))))
	key := filepath.Join(second, "pki", "encryption.yaml")
	config, err := encryption.NewConfig()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, config, 0o600))
	assert.Contains(t, spawn(t, flags...).failed(t), key+" has other keys")
}
