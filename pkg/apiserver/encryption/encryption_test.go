package encryption

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
)

const prefix = "/registry/"

// data is what is in the datastore.
type data map[string]string

func (d data) visit(_ context.Context, below string, visit func(string, []byte) bool) error {
	keys := []string{}
	for key := range d {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if strings.HasPrefix(key, prefix+below) && !visit(key, []byte(d[key])) {
			return nil
		}
	}
	return nil
}

// newFile is the path of a file with a new key.
func newFile(t *testing.T) string {
	t.Helper()
	config, err := NewConfig()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), FileName)
	require.NoError(t, os.WriteFile(path, config, 0o600))
	return path
}

// secret encrypts as the API server with this file would.
func secret(t *testing.T, path, key, text string) string {
	t.Helper()
	transformer, err := secretsTransformer(t.Context(), path)
	require.NoError(t, err)
	out, err := transformer.TransformToStorage(t.Context(), []byte(text), value.DefaultContext(key))
	require.NoError(t, err)
	return string(out)
}

func TestNewConfig(t *testing.T) {
	path := newFile(t)
	config, err := encryptionconfig.LoadEncryptionConfig(t.Context(), path, true, "")
	require.NoError(t, err, "Kubernetes understands it")
	transformers := encryptionconfig.StaticTransformers(config.Transformers)
	for _, resource := range []schema.GroupResource{{Resource: "secrets"}, {Group: "work.karmada.io", Resource: "works"}} {
		transformer := transformers.TransformerForResource(resource)
		out, err := transformer.TransformToStorage(t.Context(), []byte("hello"), value.DefaultContext("k"))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(out), "k8s:enc:secretbox:v1:"), "%s: %s", resource, out)
		back, stale, err := transformer.TransformFromStorage(t.Context(), out, value.DefaultContext("k"))
		require.NoError(t, err)
		assert.Equal(t, "hello", string(back))
		assert.False(t, stale)
		plain, stale, err := transformer.TransformFromStorage(t.Context(), []byte("plain"), value.DefaultContext("k"))
		require.NoError(t, err, "what was written before there was a key")
		assert.Equal(t, "plain", string(plain))
		assert.True(t, stale, "is written anew with the next change")
	}
	first, err := NewConfig()
	require.NoError(t, err)
	another, err := NewConfig()
	require.NoError(t, err)
	assert.NotEqual(t, first, another, "every federation has a key of its own")
}

func TestEnsure(t *testing.T) {
	ours, theirs := newFile(t), newFile(t)
	const s, u = prefix + "secrets/default/s", prefix + "secrets/default/u"
	identity := filepath.Join(t.TempDir(), "identity.yaml")
	require.NoError(t, os.WriteFile(identity, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{identity: {}}]}]\n"), 0o600))
	others := filepath.Join(t.TempDir(), "others.yaml")
	require.NoError(t, os.WriteFile(others, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [configmaps], providers: [{identity: {}}]}]\n"), 0o600))
	damaged := filepath.Join(t.TempDir(), "damaged.yaml")
	require.NoError(t, os.WriteFile(damaged, []byte("?"), 0o600))
	none := func() string { return filepath.Join(t.TempDir(), FileName) }

	tests := map[string]struct {
		reason  string
		path    string
		foreign bool // somebody else brings the file
		stored  data
		made    bool
		err     error
		says    string
	}{
		"first start":              {reason: "there is nothing yet", path: none(), made: true},
		"data from before":         {reason: "plain text stays readable", path: none(), stored: data{s: "plain", prefix + "pods/default/p": "x"}, made: true},
		"lost":                     {reason: "a new key could not read it", path: none(), stored: data{s: secret(t, ours, s, "x")}, err: ErrKeyLost, says: s},
		"lost, other kinds":        {reason: "somebody encrypts more", path: none(), stored: data{prefix + "configmaps/x/y": "k8s:enc:aescbc:v1:k:..."}, err: ErrKeyLost, says: "configmaps/x/y"},
		"lost, KMS":                {reason: "somebody has a KMS", path: none(), stored: data{s: "k8s:enc:kms:v2:k:..."}, err: ErrKeyLost, says: s},
		"lost, the last of many":   {reason: "everything is looked at", path: none(), stored: data{prefix + "a": "x", prefix + "b": "x", prefix + "zzz": "k8s:enc:secretbox:v1:k:..."}, err: ErrKeyLost, says: "zzz"},
		"somebody else's, missing": {reason: "it is not made where it is only read", path: none(), foreign: true, err: ErrMissing, says: "apiserver credentials"},
		"there":                    {reason: "it reads what is there", path: ours, stored: data{s: secret(t, ours, s, "x"), u: "plain"}},
		"there, nothing stored":    {reason: "nothing to compare with", path: ours},
		"there, all plain":         {reason: "from before there was a key", path: ours, stored: data{s: "plain"}},
		"another's":                {reason: "every Secret would be an error", path: theirs, stored: data{s: secret(t, ours, s, "x")}, err: ErrKeyLost, says: s},
		"plain, and data is not":   {reason: "every Secret would be an error", path: identity, stored: data{s: secret(t, ours, s, "x")}, err: ErrKeyLost, says: s},
		"silent about Secrets":     {reason: "every Secret would be an error", path: others, stored: data{s: secret(t, ours, s, "x")}, err: ErrKeyLost, says: s},
		"one is damaged":           {reason: "the others are to be served", path: ours, stored: data{s: "k8s:enc:secretbox:v1:key1:damaged", u: secret(t, ours, u, "x")}},
		"one is of another":        {reason: "the others are to be served", path: ours, stored: data{s: secret(t, theirs, s, "x"), u: secret(t, ours, u, "x")}},
		"KMS is asked later":       {reason: "it may be away for a while", path: identity, stored: data{s: "k8s:enc:kms:v2:k:..."}},
		"not a file":               {reason: "Kubernetes says what is wrong", path: damaged, stored: data{s: secret(t, ours, s, "x")}, says: "encryption"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var made []byte
			create := func(data []byte) error { made = data; return nil }
			if tt.foreign {
				create = nil
			}
			err := Ensure(t.Context(), tt.path, create, tt.stored.visit)
			if tt.err == nil && tt.says == "" {
				require.NoError(t, err, tt.reason)
			} else {
				require.ErrorContains(t, err, tt.says, tt.reason)
			}
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err, tt.reason)
				require.ErrorContains(t, err, tt.path, "the file is named")
			}
			assert.Equal(t, tt.made, made != nil, tt.reason)
		})
	}
}

func TestErrorsOfOthers(t *testing.T) {
	broken := errors.New("broken")
	failing := func(context.Context, string, func(string, []byte) bool) error { return broken }
	create := func([]byte) error { return nil }
	missing := filepath.Join(t.TempDir(), FileName)
	require.ErrorIs(t, Ensure(t.Context(), missing, create, failing), broken, "nothing is made unless it is known that nothing is encrypted")
	require.ErrorIs(t, Ensure(t.Context(), newFile(t), create, failing), broken)
	require.ErrorIs(t, Ensure(t.Context(), missing, func([]byte) error { return broken }, data{}.visit), broken)
	require.Error(t, Ensure(t.Context(), filepath.Join(newFile(t), "x"), create, data{}.visit), "a file as a directory")
}
