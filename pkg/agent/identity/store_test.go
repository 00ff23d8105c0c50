package identity

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

func newSecret(t *testing.T, member *fakekube.Server, place string) *Secret {
	t.Helper()
	client, err := rest.HTTPClientFor(member.Config())
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	store, err := NewSecret(member.Config(), client, place)
	require.NoError(t, err)
	return store
}

func TestStores(t *testing.T) {
	member := fakekube.New("member")
	t.Cleanup(member.Close)
	for name, store := range map[string]Store{
		"files":  Files(t.TempDir() + "/a/b"),
		"secret": newSecret(t, member, "kube-system/identity"),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := store.Load(t.Context())
			require.NoError(t, err)
			require.Empty(t, b, "nothing was saved yet")
			require.NoError(t, store.Save(t.Context(), Bundle{CA: []byte("ca")}))
			for _, round := range []string{"one", "two"} {
				require.NoError(t, store.Save(t.Context(), Bundle{CA: []byte("ca"), Certificate: []byte("crt " + round), Key: []byte("key " + round)}))
				b, err = store.Load(t.Context())
				require.NoError(t, err)
				require.Equal(t, "ca", string(b.CA))
				require.Contains(t, string(b.Certificate), "crt "+round)
				require.Contains(t, string(b.Key), "key "+round)
			}
		})
	}
	t.Run("what else the Secret has stays", func(t *testing.T) {
		member.Edit(fakekube.Secrets, "kube-system", "identity", func(u *unstructured.Unstructured) {
			u.SetLabels(map[string]string{"a": "b"})
		})
		require.NoError(t, newSecret(t, member, "kube-system/identity").Save(t.Context(), Bundle{CA: []byte("ca 2")}))
		now := member.Get(fakekube.Secrets, "kube-system", "identity")
		require.Equal(t, "b", now.GetLabels()["a"])
		data, _, err := unstructured.NestedStringMap(now.Object, "data")
		require.NoError(t, err)
		require.NotEmpty(t, data[SecretKeyCertificate], "a certificate is not lost when only the CA is new")
	})
}

func TestSecretNames(t *testing.T) {
	for _, place := range []string{"", "name", "/name", "ns/", "a/b/c"} {
		_, err := NewSecret(&rest.Config{}, http.DefaultClient, place)
		require.ErrorIs(t, err, ErrOptions, place)
	}
}

func TestOptions(t *testing.T) {
	good := Options{
		Cluster: "eu", Server: "https://fed:5443", Store: Files("x"),
		CAHashes: []string{"sha256:0000000000000000000000000000000000000000000000000000000000000000"},
	}
	_, err := New(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*Options){
		"cluster":     func(o *Options) { o.Cluster = "Not A Label" },
		"no TLS":      func(o *Options) { o.Server = "http://fed" },
		"no scheme":   func(o *Options) { o.Server = "fed:5443" },
		"no pin":      func(o *Options) { o.CAHashes = nil },
		"short pin":   func(o *Options) { o.CAHashes = []string{"sha256:00"} },
		"other hash":  func(o *Options) { o.CAHashes = []string{"md5:00"} },
		"no store":    func(o *Options) { o.Store = nil },
		"too short":   func(o *Options) { o.Lifetime = minLifetime - 1 },
		"no lifetime": func(o *Options) { o.Lifetime = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			_, err := New(o)
			require.ErrorIs(t, err, ErrOptions)
		})
	}
}

func TestHashIsOfTheKey(t *testing.T) {
	a := newAuthority(t, "a")
	parsed, err := ParseHash(HashOf(a.cert).String())
	require.NoError(t, err)
	require.Equal(t, HashOf(a.cert), parsed)
	upper, err := ParseHash("SHA256:" + a.hash()[len(hashPrefix):])
	require.NoError(t, err)
	require.Equal(t, parsed, upper)
	require.NotEqual(t, parsed, HashOf(newAuthority(t, "a").cert), "the name does not make a CA")
}
