package pki

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

// authorities is a directory as a Secret is mounted: complete, and not to be
// written to.
func authorities(t *testing.T) (dir string, files map[string][]byte) {
	t.Helper()
	files = map[string][]byte{}
	require.NoError(t, CompleteAuthorities("secret flotilla-system/flotilla-pki", files, start))
	dir = t.TempDir()
	for name, data := range files {
		write(t, filepath.Join(dir, name), string(data))
	}
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	return dir, files
}

func TestAuthoritiesElsewhereAreOnlyRead(t *testing.T) {
	from, given := authorities(t)
	dir := filepath.Join(t.TempDir(), "pki")
	files, err := EnsureLeaves(from, dir, hosts, start)
	require.NoError(t, err)
	for name, data := range given {
		assert.Equal(t, string(data), contents(t, from)[name], name)
		assert.NoFileExists(t, filepath.Join(dir, name), "no copy of what others trust")
	}
	assert.Len(t, contents(t, from), len(given), "nothing is added there")
	assert.Equal(t, filepath.Join(from, "ca.crt"), files.CA())
	assert.Equal(t, filepath.Join(dir, "serving.crt"), files.ServingCert())
	for name, data := range given { // what a client would check
		write(t, filepath.Join(dir, name), string(data))
	}
	fits(t, dir, hosts, start)

	before := contents(t, dir)
	_, err = EnsureLeaves(from, dir, hosts, start.Add(day))
	require.NoError(t, err)
	assert.Equal(t, before, contents(t, dir), "what is good stays")

	other, _ := authorities(t)
	_, err = EnsureLeaves(other, dir, hosts, start)
	require.NoError(t, err)
	assert.NotEqual(t, before["serving.crt"], contents(t, dir)["serving.crt"], "another CA signs anew")
}

func TestAuthoritiesElsewhereAreComplete(t *testing.T) {
	for _, name := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"} {
		t.Run(name, func(t *testing.T) {
			from, _ := authorities(t)
			require.NoError(t, os.Chmod(from, 0o700))
			require.NoError(t, os.Remove(filepath.Join(from, name)))
			_, err := EnsureLeaves(from, t.TempDir(), hosts, start)
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorContains(t, err, name)
			assert.ErrorContains(t, err, "apiserver credentials", "and what makes it")
		})
	}
	from, _ := authorities(t)
	_, err := EnsureLeaves(from, t.TempDir(), hosts, start.Add(caLifetime+day))
	require.ErrorIs(t, err, ErrExpired)
}

func TestCompleteAuthorities(t *testing.T) {
	_, whole := authorities(t)
	cases := map[string]struct {
		reason string
		gone   []string
		made   []string
		err    error
	}{
		"nothing gone":       {reason: "it is complete"},
		"everything gone":    {reason: "a new federation", gone: []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"}, made: []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"}},
		"a CA of one's own":  {reason: "somebody brought the CA, the rest is made", gone: []string{"front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"}, made: []string{"front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"}},
		"public key":         {reason: "it follows from the private one", gone: []string{"sa.pub"}, made: []string{}},
		"CA's key":           {reason: "never a new CA beside the old one", gone: []string{"ca.key"}, err: ErrKeyLost},
		"CA's certificate":   {reason: "never over a key that is there", gone: []string{"ca.crt"}, err: ErrKeyLost},
		"front proxy's key":  {reason: "as the CA's", gone: []string{"front-proxy-ca.key"}, err: ErrKeyLost},
		"front proxy's cert": {reason: "as the CA's", gone: []string{"front-proxy-ca.crt"}, err: ErrKeyLost},
		"key of tokens":      {reason: "every token hangs on it", gone: []string{"sa.key"}, err: ErrKeyLost},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(whole)
			for _, gone := range c.gone {
				delete(files, gone)
			}
			err := CompleteAuthorities("secret x/y", files, start)
			if c.err != nil {
				require.ErrorIs(t, err, c.err, c.reason)
				assert.ErrorContains(t, err, "secret x/y/", "the place is named")
				return
			}
			require.NoError(t, err, c.reason)
			assert.Len(t, files, len(whole))
			made := []string{}
			for name := range files {
				if string(files[name]) != string(whole[name]) {
					made = append(made, name)
				}
			}
			assert.ElementsMatch(t, c.made, made, c.reason)
		})
	}
	expired := maps.Clone(whole)
	require.ErrorIs(t, CompleteAuthorities("x", expired, start.Add(caLifetime+day)), ErrExpired)
}

func TestComponentKubeconfigs(t *testing.T) {
	dir := t.TempDir()
	files := ensure(t, dir, hosts, start)
	require.NoError(t, WriteComponentKubeconfigs(files, "https://fed.example.com:5443"))
	for name, user := range map[string]string{"controller-manager": "system:flotilla:controller-manager", "scheduler": "system:flotilla:scheduler"} {
		cfg, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, name+".kubeconfig"))
		require.NoError(t, err)
		assert.Equal(t, "https://fed.example.com:5443", cfg.Host)
		pair, err := Parse(name, cfg.CertData, cfg.KeyData)
		require.NoError(t, err)
		assert.Equal(t, user, pair.Cert.Subject.CommonName)
		assert.Empty(t, pair.Cert.Subject.Organization, "its rights are those of its ClusterRole")
	}
}
