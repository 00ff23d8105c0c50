package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	"pgregory.net/rapid"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	hosts = []string{"localhost", "127.0.0.1", "::1", "fed.example.com"}
)

const day = 24 * time.Hour

// files reads a directory.
func contents(t require.TestingT, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		out[filepath.Base(path)] = string(data)
		return err
	}))
	return out
}

// changed lists the files that differ.
func changed(before, after map[string]string) []string {
	out := []string{}
	for _, name := range allFiles {
		if before[name] != after[name] {
			out = append(out, name)
		}
	}
	return out
}

var allFiles = []string{
	"admin.crt", "admin.key", "ca.crt", "ca.key", "controller-manager.crt", "controller-manager.key",
	"front-proxy-ca.crt", "front-proxy-ca.key", "front-proxy-client.crt", "front-proxy-client.key",
	"sa.key", "sa.pub", "scheduler.crt", "scheduler.key", "serving.crt", "serving.key",
}

func ensure(t *testing.T, dir string, names []string, now time.Time) Files {
	t.Helper()
	files, err := Ensure(dir, names, now)
	require.NoError(t, err)
	return files
}

func TestEnsure(t *testing.T) {
	leaves := []string{"admin.crt", "admin.key", "controller-manager.crt", "controller-manager.key", "front-proxy-client.crt", "front-proxy-client.key",
		"scheduler.crt", "scheduler.key", "serving.crt", "serving.key"}
	cases := map[string]struct {
		reason string
		hosts  []string
		after  time.Duration
		harm   func(t *testing.T, dir string)
		want   []string
	}{
		"again": {
			reason: "what is good is left alone, byte for byte",
			hosts:  hosts, after: time.Minute, want: []string{},
		},
		"two thirds of a life": {
			reason: "just before a third of the life is left, nothing happens",
			hosts:  hosts, after: 243 * day, want: []string{},
		},
		"a third is left": {
			reason: "leaves are renewed, with new keys; the CAs and the key of service accounts stay",
			hosts:  hosts, after: 244 * day, want: leaves,
		},
		"expired": {
			reason: "a server that was off for years starts with new certificates under the old CA",
			hosts:  hosts, after: 3 * 365 * day, want: leaves,
		},
		"clock set back": {
			reason: "clocks are a little off, and are corrected",
			hosts:  hosts, after: -4 * time.Minute, want: []string{},
		},
		"new name": {
			reason: "the serving certificate has to carry every name; nothing else changes",
			hosts:  append([]string{"other.example.com"}, hosts...), after: time.Minute, want: []string{"serving.crt", "serving.key"},
		},
		"new address": {
			reason: "addresses are names, too",
			hosts:  append([]string{"10.1.2.3"}, hosts...), after: time.Minute, want: []string{"serving.crt", "serving.key"},
		},
		"name gone": {
			reason: "carrying one too many harms nobody, and clients may still use it",
			hosts:  hosts[:1], after: time.Minute, want: []string{},
		},
		"leaf lost": {
			reason: "it is signed anew",
			hosts:  hosts, after: time.Minute, want: []string{"serving.crt", "serving.key"},
			harm: func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "serving.crt"))) },
		},
		"leaf damaged": {
			reason: "half a file from a full disk must not keep the server down",
			hosts:  hosts, after: time.Minute, want: []string{"admin.crt", "admin.key"},
			harm: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "admin.crt"), "-----BEGIN CERT") },
		},
		"key of another leaf": {
			reason: "a process that ends between the writes of key and certificate leaves a pair that does not fit",
			hosts:  hosts, after: time.Minute, want: []string{"serving.crt", "serving.key"},
			harm: func(t *testing.T, dir string) {
				key, err := os.ReadFile(filepath.Join(dir, "admin.key"))
				require.NoError(t, err)
				write(t, filepath.Join(dir, "serving.key"), string(key))
			},
		},
		"certificate of another subject": {
			reason: "an admin certificate that is not the admin's gives no rights",
			hosts:  hosts, after: time.Minute, want: []string{"admin.crt", "admin.key"},
			harm: func(t *testing.T, dir string) {
				ca, err := Load(dir, "ca")
				require.NoError(t, err)
				other, err := Sign(ca, Leaf{CommonName: "someone", Usage: x509.ExtKeyUsageClientAuth}, start)
				require.NoError(t, err)
				require.NoError(t, store(dir, "admin", other))
			},
		},
		"public key lost": {
			reason: "it follows from the private one",
			hosts:  hosts, after: time.Minute, want: []string{},
			harm: func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "sa.pub"))) },
		},
		"both CA files gone": {
			reason: "with nothing left to contradict it, a new federation begins; every leaf of the old CA is void",
			hosts:  hosts, after: time.Minute, want: []string{"admin.crt", "admin.key", "ca.crt", "ca.key", "controller-manager.crt", "controller-manager.key",
				"scheduler.crt", "scheduler.key", "serving.crt", "serving.key"},
			harm: func(t *testing.T, dir string) {
				require.NoError(t, os.Remove(filepath.Join(dir, "ca.crt")))
				require.NoError(t, os.Remove(filepath.Join(dir, "ca.key")))
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "pki")
			ensure(t, dir, hosts, start)
			before := contents(t, dir)
			require.Len(t, before, len(allFiles))
			if c.harm != nil {
				c.harm(t, dir)
			}
			ensure(t, dir, c.hosts, start.Add(c.after))
			after := contents(t, dir)
			assert.Equal(t, c.want, changed(before, after), c.reason)
			assert.Len(t, after, len(allFiles), "no temporary files stay behind")

			again := start.Add(c.after + time.Minute)
			ensure(t, dir, c.hosts, again)
			assert.Equal(t, after, contents(t, dir), "and then it is good")
			fits(t, dir, c.hosts, again)
		})
	}
}

func write(t *testing.T, path, data string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
}

// fits checks what a client and a server would check.
func fits(t *testing.T, dir string, names []string, now time.Time) {
	t.Helper()
	ca, err := Load(dir, "ca")
	require.NoError(t, err)
	front, err := Load(dir, "front-proxy-ca")
	require.NoError(t, err)
	require.False(t, ca.Key.Public().(*ecdsa.PublicKey).Equal(front.Key.Public()), "a front proxy must not be able to sign users")
	for name, want := range map[string]struct {
		ca    Pair
		usage x509.ExtKeyUsage
		hosts []string
	}{
		"serving":            {ca, x509.ExtKeyUsageServerAuth, names},
		"admin":              {ca, x509.ExtKeyUsageClientAuth, []string{""}},
		"controller-manager": {ca, x509.ExtKeyUsageClientAuth, []string{""}},
		"scheduler":          {ca, x509.ExtKeyUsageClientAuth, []string{""}},
		"front-proxy-client": {front, x509.ExtKeyUsageClientAuth, []string{""}},
	} {
		pair, err := Load(dir, name)
		require.NoError(t, err)
		require.True(t, pair.matches(), name)
		roots := x509.NewCertPool()
		roots.AddCert(want.ca.Cert)
		for _, host := range want.hosts {
			_, err = pair.Cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: host, KeyUsages: []x509.ExtKeyUsage{want.usage}})
			require.NoError(t, err, "%s for %q", name, host)
		}
	}
	key, err := serviceAccountKey(Files{Authorities: dir, Dir: dir})
	require.NoError(t, err)
	block, _ := pem.Decode([]byte(contents(t, dir)["sa.pub"]))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	require.Equal(t, key.Public(), public)
}

func TestRefusesToReplaceWhatOthersTrust(t *testing.T) {
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	}
	swap := func(t *testing.T, dir string, from, to string) {
		data, err := os.ReadFile(filepath.Join(dir, from))
		require.NoError(t, err)
		write(t, filepath.Join(dir, to), string(data))
	}
	cases := map[string]struct {
		reason string
		harm   func(t *testing.T, dir string)
		after  time.Duration
		is     error
		names  string
	}{
		"CA key lost":           {reason: "a new CA cuts off every agent", harm: remove("ca.key"), is: ErrKeyLost, names: "ca.key"},
		"front proxy key lost":  {reason: "aggregated servers trust it", harm: remove("front-proxy-ca.key"), is: ErrKeyLost, names: "front-proxy-ca.key"},
		"key of tokens lost":    {reason: "every token ever issued hangs on it", harm: remove("sa.key"), is: ErrKeyLost, names: "sa.key"},
		"key of another CA":     {reason: "what it signs is trusted by nobody", harm: func(t *testing.T, dir string) { swap(t, dir, "admin.key", "ca.key") }, is: ErrKeyLost, names: "ca.key"},
		"CA is no CA":           {reason: "somebody copied the wrong file", harm: func(t *testing.T, dir string) { swap(t, dir, "admin.crt", "ca.crt") }, names: "ca.crt"},
		"CA ended":              {reason: "it is not renewed by itself, people have to be told", harm: func(*testing.T, string) {}, after: 3651 * day, is: ErrExpired, names: "ca.crt"},
		"CA is damaged":         {reason: "it may be possible to restore it", harm: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "ca.crt"), "?") }, names: "ca"},
		"key of tokens damaged": {reason: "as above", harm: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "sa.key"), "?"); remove("sa.pub")(t, dir) }, names: "sa.key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ensure(t, dir, hosts, start)
			c.harm(t, dir)
			before := contents(t, dir)
			_, err := Ensure(dir, hosts, start.Add(c.after))
			require.Error(t, err, c.reason)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			assert.Contains(t, err.Error(), c.names, "the file is named")
			after := contents(t, dir)
			for _, precious := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"} {
				assert.Equal(t, before[precious], after[precious], "%s: %s", c.reason, precious)
			}
		})
	}
}

func TestKeysAreForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "pki")
	files := ensure(t, dir, hosts, start)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	for _, name := range allFiles {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		want := fs.FileMode(0o644)
		if filepath.Ext(name) == ".key" {
			want = 0o600
		}
		assert.Equal(t, want, info.Mode().Perm(), name)
	}
	path := filepath.Join(t.TempDir(), "deep", "admin.conf")
	require.NoError(t, WriteKubeconfig(files, "https://x:1", path))
	info, err = os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "it holds the admin's key")
}

func TestKubeconfig(t *testing.T) {
	dir := t.TempDir()
	files := ensure(t, dir, hosts, start)
	path := filepath.Join(t.TempDir(), "config")
	require.NoError(t, WriteKubeconfig(files, "https://fed.example.com:5443", path))

	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	assert.Equal(t, "https://fed.example.com:5443", cfg.Host)
	for name, data := range map[string][]byte{"ca.crt": cfg.CAData, "admin.crt": cfg.CertData, "admin.key": cfg.KeyData} {
		assert.Equal(t, contents(t, dir)[name], string(data), name)
	}

	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	require.NoError(t, os.Chtimes(path, old, old))
	require.NoError(t, WriteKubeconfig(files, "https://fed.example.com:5443", path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, info.ModTime().Equal(old), "an equal file is not touched: people watch it")

	require.NoError(t, WriteKubeconfig(files, "https://other:5443", path))
	cfg, err = clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	assert.Equal(t, "https://other:5443", cfg.Host)
}

func TestSignedIdentity(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir, hosts, start)
	ca, err := Load(dir, "ca")
	require.NoError(t, err)
	pair, err := Sign(ca, Leaf{CommonName: "system:cluster:eu", Organization: []string{"system:clusters"}, Usage: x509.ExtKeyUsageClientAuth, IPs: []net.IP{net.IPv4(10, 0, 0, 1)}}, start)
	require.NoError(t, err)
	assert.Equal(t, "system:cluster:eu", pair.Cert.Subject.CommonName)
	assert.Equal(t, []string{"system:clusters"}, pair.Cert.Subject.Organization)
	assert.False(t, pair.Cert.IsCA)
	assert.True(t, pair.Cert.NotBefore.Before(start), "clocks differ")
	require.NoError(t, pair.Cert.CheckSignatureFrom(ca.Cert))

	cert, key, err := pair.PEM()
	require.NoError(t, err)
	_, err = Load(t.TempDir(), "ca")
	require.ErrorIs(t, err, os.ErrNotExist)
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "x.crt"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(other, "x.key"), key, 0o600))
	loaded, err := Load(other, "x")
	require.NoError(t, err)
	assert.True(t, bytes.Equal(pair.Cert.Raw, loaded.Cert.Raw))
	assert.True(t, loaded.matches())
}

// Whatever is lost at whatever time, Ensure either makes a whole set that works
// or refuses and leaves what others trust as it is.
func TestAnyLossIsRepairedOrRefused(t *testing.T) {
	master := t.TempDir()
	ensure(t, master, hosts, start)
	whole, cases := contents(t, master), 0
	rapid.Check(t, func(rt *rapid.T) {
		cases++
		dir := filepath.Join(master, strconv.Itoa(cases))
		require.NoError(rt, os.Mkdir(dir, 0o700))
		gone := map[string]bool{}
		for _, name := range allFiles {
			if rapid.IntRange(0, 3).Draw(rt, name) == 0 {
				gone[name] = true
				continue
			}
			require.NoError(rt, os.WriteFile(filepath.Join(dir, name), []byte(whole[name]), 0o600))
		}
		now := start.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "day")) * day)
		_, err := Ensure(dir, hosts, now)
		lost := gone["ca.key"] && !gone["ca.crt"] || gone["front-proxy-ca.key"] && !gone["front-proxy-ca.crt"] || gone["sa.key"] && !gone["sa.pub"]
		after := contents(rt, dir)
		if lost {
			require.ErrorIs(rt, err, ErrKeyLost)
		} else {
			require.NoError(rt, err)
			fits(t, dir, hosts, now)
		}
		for _, name := range []string{"ca.crt", "front-proxy-ca.crt", "sa.key"} {
			if !gone[name] && (name == "sa.key" || !gone[name[:len(name)-4]+".key"]) {
				require.Equal(rt, whole[name], after[name], "%s is never replaced", name)
			}
		}
	})
}

// Whatever is in a file, reading it ends with an error or a usable pair.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	if _, err := Ensure(dir, hosts, start); err != nil {
		f.Fatal(err)
	}
	good := contents(f, dir)
	f.Add([]byte(good["ca.crt"]), []byte(good["ca.key"]))
	f.Add([]byte(good["sa.pub"]), []byte(good["sa.key"]))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte(good["admin.key"]))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "ca.crt"), string(cert))
		write(t, filepath.Join(dir, "ca.key"), string(key))
		pair, err := ensureCA(dir, "ca", start)
		if err == nil && (!pair.Cert.IsCA || !pair.matches()) {
			t.Fatal("taken for a CA")
		}
		if after := contents(t, dir); err != nil && (after["ca.crt"] != string(cert) || after["ca.key"] != string(key)) {
			t.Fatal("changed in spite of an error")
		}
	})
}
