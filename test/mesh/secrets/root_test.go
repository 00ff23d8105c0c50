package secrets

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// deepest is how often something may be wrapped: base64 of JSON of base64 of PEM.
const deepest = 6

// holds says whether bytes are in some data, be it as they are, in PEM, in base64
// or in JSON.
func holds(data, secret []byte, depth int) bool {
	if bytes.Contains(data, secret) {
		return true
	}
	if depth == 0 || len(data) < len(secret) {
		return false
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if holds(block.Bytes, secret, depth-1) {
			return true
		}
	}
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data))); err == nil && len(decoded) > 0 {
		return holds(decoded, secret, depth-1)
	}
	var value any
	if json.Unmarshal(data, &value) == nil {
		return within(value, secret, depth-1)
	}
	return false
}

func within(value any, secret []byte, depth int) bool {
	switch v := value.(type) {
	case string:
		return holds([]byte(v), secret, depth)
	case []any:
		for _, item := range v {
			if within(item, secret, depth) {
				return true
			}
		}
	case map[string]any:
		for _, item := range v {
			if within(item, secret, depth) {
				return true
			}
		}
	}
	return false
}

// private are the bytes of a key that nobody else may have: its number.
func private(t *testing.T, key any) []byte {
	t.Helper()
	ec, ok := key.(*ecdsa.PrivateKey)
	require.True(t, ok, "%T", key)
	bytes, err := ec.Bytes()
	require.NoError(t, err)
	return bytes
}

// holders are the objects of a place, of some kinds, that hold a secret, as
// kind/namespace/name.
func holders(s *meshlab.Session, where, kinds string, secret []byte) (found []string) {
	s.Helper()
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	require.NoError(s, json.Unmarshal([]byte(s.Run(where, "get", kinds, "--all-namespaces", "--output=json")), &list))
	require.NotEmpty(s, list.Items)
	for _, item := range list.Items {
		var object struct {
			Kind     string `json:"kind"`
			Metadata struct{ Namespace, Name string }
		}
		require.NoError(s, json.Unmarshal(item, &object))
		if holds(item, secret, deepest) {
			found = append(found, object.Kind+"/"+object.Metadata.Namespace+"/"+object.Metadata.Name)
		}
	}
	return found
}

// TestTheRootsKeyIsInTheFederationOnly: in one Secret there, which is encrypted.
func TestTheRootsKeyIsInTheFederationOnly(t *testing.T) {
	s := established(t)
	var stored corev1.Secret
	name := meshv1alpha1.TrustSecretName(meshlab.Mesh)
	require.NoError(t, json.Unmarshal([]byte(s.Run(lab.Fed, "get", "secret", "--namespace=karmada-system", name, "--output=json")), &stored))
	store, err := trust.DecodeStore(stored.Data)
	require.NoError(t, err)
	root, err := store.Signer()
	require.NoError(t, err)
	key := private(t, root.Key)

	const mayHold = "secrets,configmaps"
	require.Equal(t, []string{"Secret/karmada-system/" + name}, holders(s, lab.Fed, mayHold+",works.work.karmada.io,meshes.mesh.flotilla.io,meshmembers.mesh.flotilla.io", key))
	for member := range shared.Members {
		require.Empty(t, holders(s, member, mayHold, key), "the root's key is in %s", member)
		// The search would find it: it finds the key of the intermediate.
		var own corev1.Secret
		require.NoError(t, json.Unmarshal([]byte(s.Run(member, "get", "secret", "--namespace="+istiolab.Namespace, "cacerts", "--output=json")), &own))
		signer, err := trust.ParseKey(own.Data[trust.CAKeyKey])
		require.NoError(t, err)
		intermediate := private(t, signer)
		require.Equal(t, []string{"Secret/" + istiolab.Namespace + "/cacerts"}, holders(s, member, mayHold, intermediate))
		require.Equal(t, []string{"Work/karmada-es-" + member + "/mesh." + meshlab.Mesh + ".ca"},
			holders(s, lab.Fed, mayHold+",works.work.karmada.io", intermediate))
		encrypted(t, s, intermediate, "the key of the intermediate of "+member)
	}
	encrypted(t, s, key, "the key of the root")
	for _, p := range [][2]string{{"eu", "ap"}, {"ap", "us"}, {"us", "eu"}} {
		encrypted(t, s, []byte(s.Token(p[0], p[1])), "the token for "+p[1])
	}
}

// encrypted looks for a secret in all that etcd of the federation has, behind the
// API server's back.
func encrypted(t *testing.T, s *meshlab.Session, secret []byte, what string) {
	t.Helper()
	client, err := etcd.Dial([]string{"unix://" + s.Path("federation", "etcd", "etcd.sock")}, "", "", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	all, err := client.Get(t.Context(), "/", clientv3.WithPrefix())
	require.NoError(t, err)
	open := false
	for _, kv := range all.Kvs {
		key, value := string(kv.Key), kv.Value
		if strings.Contains(key, "/mesh.flotilla.io/meshes/") {
			open = open || bytes.Contains(value, []byte(meshlab.Mesh))
		}
		// What is stored is JSON or protobuf; keys are in it as base64 of PEM, or PEM.
		require.False(t, holds(value, secret, deepest), "%s is readable in etcd at %s", what, key)
		for rest := value; ; {
			at := bytes.Index(rest, []byte("-----BEGIN"))
			if at < 0 {
				break
			}
			require.False(t, holds(rest[at:], secret, deepest), "%s is readable in etcd at %s", what, key)
			rest = rest[at+1:]
		}
	}
	require.True(t, open, "what is not encrypted would be found: the Mesh is")
}
