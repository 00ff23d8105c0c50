package encryption

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// in is a datastore with this data, and a mark of its own.
func in(d data) Datastore {
	var mark []byte
	return Datastore{Visit: d.visit, Mark: prefix + "flotilla.io/encryption", Swap: func(_ context.Context, old, next []byte) ([]byte, error) {
		if bytes.Equal(mark, old) {
			mark = next
		}
		return mark, nil
	}}
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
	keys, err := load(t.Context(), path)
	require.NoError(t, err)
	transformer := keys.byResource.TransformerForResource(secrets)
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
	const s, u, v = prefix + "secrets/default/s", prefix + "secrets/default/u", prefix + "secrets/default/v"
	const w, x = prefix + "work.karmada.io/works/karmada-es-eu/w", prefix + "work.karmada.io/works/karmada-es-eu/x"
	wild := filepath.Join(t.TempDir(), "wild.yaml")
	require.NoError(t, os.WriteFile(wild, []byte(strings.Replace(string(read(t, ours)), "[secrets, works.work.karmada.io]", "['*.*']", 1)), 0o600))
	onlySecrets := filepath.Join(t.TempDir(), "secrets.yaml")
	require.NoError(t, os.WriteFile(onlySecrets, []byte(strings.Replace(string(read(t, ours)), ", works.work.karmada.io", "", 1)), 0o600))
	many := data{}
	for i := range 300 {
		key := fmt.Sprintf("%ssecrets/a/%03d", prefix, i)
		many[key] = secret(t, ours, key, "x")
	}
	for _, key := range []string{u, v} {
		many[key] = secret(t, theirs, key, "x")
	}
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
		"several are of another":   {reason: "a key is missing, though most are readable", path: ours, stored: many, err: ErrKeyLost, says: "2 of 302"},
		"Works alone":              {reason: "they are encrypted, too", path: theirs, stored: data{w: secret(t, ours, w, "x")}, err: ErrKeyLost, says: w},
		"Works of another key":     {reason: "they are encrypted, too", path: ours, stored: data{s: secret(t, ours, s, "x"), w: secret(t, theirs, w, "x"), x: secret(t, theirs, x, "x")}, err: ErrKeyLost, says: "2 of 3"},
		"Works are left out":       {reason: "every Work would be an error", path: onlySecrets, stored: data{w: secret(t, ours, w, "x")}, err: ErrKeyLost, says: w},
		"Works are readable":       {reason: "it reads what is there", path: ours, stored: data{w: secret(t, ours, w, "x")}},
		"everything is encrypted":  {reason: "it reads what is there", path: wild, stored: data{s: secret(t, ours, s, "x"), w: secret(t, ours, w, "x"), prefix + "deployments/a/b": secret(t, ours, prefix+"deployments/a/b", "x")}},
		"everything, of another":   {reason: "all kinds are tried", path: wild, stored: data{prefix + "deployments/a/b": secret(t, theirs, prefix+"deployments/a/b", "x")}, err: ErrKeyLost, says: "deployments"},
		"KMS is asked later":       {reason: "it may be away for a while", path: identity, stored: data{s: "k8s:enc:kms:v2:k:..."}},
		"not a file":               {reason: "Kubernetes says what is wrong", path: damaged, stored: data{s: secret(t, ours, s, "x")}, says: "encryption"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var made []byte
			create := func(data []byte) error { made = data; return os.WriteFile(tt.path, data, 0o600) }
			if tt.foreign {
				create = nil
			}
			err := Ensure(t.Context(), tt.path, create, in(tt.stored))
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

// Two servers begin at once, each with a key of its own.
func TestServersHaveTheSameKeys(t *testing.T) {
	create := func(path string) func([]byte) error {
		return func(data []byte) error { return os.WriteFile(path, data, 0o600) }
	}
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.yaml"), filepath.Join(dir, "second.yaml")
	empty := data{}
	stored := in(empty)
	require.NoError(t, Ensure(t.Context(), first, create(first), stored))
	// The second one saw an empty datastore, before the first left its mark.
	require.NoError(t, os.WriteFile(second, read(t, newFile(t)), 0o600))
	err := Ensure(t.Context(), second, create(second), stored)
	require.ErrorIs(t, err, ErrOtherKeys)
	require.ErrorContains(t, err, second)
	require.ErrorContains(t, err, stored.Mark, "the way out")
	require.NoError(t, Ensure(t.Context(), first, create(first), stored), "the first one starts again")
	require.NoError(t, os.WriteFile(second, read(t, first), 0o600))
	require.NoError(t, Ensure(t.Context(), second, create(second), stored), "with the same file, it starts")

	// A key is changed in order.
	another := read(t, newFile(t))
	key := string(another[bytes.Index(another, []byte("secret: "))+len("secret: "):])
	key = key[:strings.IndexByte(key, '\n')]
	both := strings.Replace(string(read(t, first)), "          keys:\n", "          keys:\n            - name: key2\n              secret: "+key+"\n", 1)
	rotated := filepath.Join(dir, "both.yaml")
	require.NoError(t, os.WriteFile(rotated, []byte(both), 0o600))
	require.NoError(t, Ensure(t.Context(), rotated, create(rotated), stored))
	last := strings.Replace(string(another), "name: key1", "name: key2", 1)
	require.NoError(t, os.WriteFile(rotated, []byte(last), 0o600))
	require.NoError(t, Ensure(t.Context(), rotated, create(rotated), stored), "the mark went along")
	require.ErrorIs(t, Ensure(t.Context(), first, create(first), stored), ErrOtherKeys, "the old key alone is another")

	// Without a start in between, what is stored tells that the keys are right.
	const s = prefix + "secrets/default/s"
	empty[s] = secret(t, first, s, "x")
	require.NoError(t, Ensure(t.Context(), first, create(first), stored))
	require.ErrorIs(t, Ensure(t.Context(), rotated, create(rotated), stored), ErrKeyLost)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func TestErrorsOfOthers(t *testing.T) {
	broken := errors.New("broken")
	failing := func(context.Context, string, func(string, []byte) bool) error { return broken }
	create := func([]byte) error { return nil }
	unmarked := Datastore{Visit: data{}.visit, Swap: func(context.Context, []byte, []byte) ([]byte, error) { return nil, broken }}
	require.ErrorIs(t, Ensure(t.Context(), newFile(t), create, unmarked), broken)
	missing := filepath.Join(t.TempDir(), FileName)
	require.ErrorIs(t, Ensure(t.Context(), missing, create, Datastore{Visit: failing}), broken, "nothing is made unless it is known that nothing is encrypted")
	require.ErrorIs(t, Ensure(t.Context(), newFile(t), create, Datastore{Visit: failing}), broken)
	require.ErrorIs(t, Ensure(t.Context(), missing, func([]byte) error { return broken }, in(data{})), broken)
	require.Error(t, Ensure(t.Context(), filepath.Join(newFile(t), "x"), create, in(data{})), "a file as a directory")
}
