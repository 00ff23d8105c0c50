package pki

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

type files struct{ cert, key string }

func in(dir, name string) files {
	return files{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
}

func newAuthority(t *testing.T, dir string) *Authority {
	t.Helper()
	f := in(dir, "ca")
	a, err := EnsureAuthority(f.cert, f.key, "test", now)
	require.NoError(t, err)
	return a
}

func TestAuthorityIsKept(t *testing.T) {
	dir := t.TempDir()
	first := newAuthority(t, dir)
	again := newAuthority(t, dir)
	require.Equal(t, first.PEM, again.PEM, "an authority that is there is used, whatever its age")
}

func TestAuthorityIsNeverReplaced(t *testing.T) {
	tests := map[string]struct {
		reason string
		damage func(t *testing.T, f files)
	}{
		"key is gone": {
			reason: "what it signed is still out there; a new authority would not be trusted",
			damage: func(t *testing.T, f files) { require.NoError(t, os.Remove(f.key)) },
		},
		"certificate is garbage": {
			reason: "a person may still have the right one",
			damage: func(t *testing.T, f files) { require.NoError(t, os.WriteFile(f.cert, []byte("?"), 0o600)) },
		},
		"key of another": {
			reason: "signing with it would make certificates that nobody accepts",
			damage: func(t *testing.T, f files) {
				other := t.TempDir()
				newAuthority(t, other)
				require.NoError(t, os.Rename(in(other, "ca").key, f.key))
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newAuthority(t, dir)
			f := in(dir, "ca")
			tc.damage(t, f)
			before, err := os.ReadFile(f.cert)
			require.NoError(t, err)
			_, err = EnsureAuthority(f.cert, f.key, "test", now)
			require.Error(t, err, tc.reason)
			after, err := os.ReadFile(f.cert)
			require.NoError(t, err)
			require.Equal(t, before, after, tc.reason)
		})
	}
}

func TestAuthorityIsMadeAgainAfterAnInterruptedStart(t *testing.T) {
	dir := t.TempDir()
	newAuthority(t, dir)
	require.NoError(t, os.Remove(in(dir, "ca").cert), "the key is written first, so this is what a kill leaves")
	newAuthority(t, dir)
}

func TestEnsure(t *testing.T) {
	server := Leaf{CommonName: "s", DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}
	client := Leaf{CommonName: "system:cluster:eu", Organization: []string{"system:clusters"}}
	tests := map[string]struct {
		reason string
		first  Leaf
		change func(t *testing.T, f files)
		then   Leaf
		after  time.Duration
		writes bool
	}{
		"again":             {reason: "a good certificate stays", first: server, then: server},
		"a day later":       {reason: "a good certificate stays", first: client, then: client, after: 24 * time.Hour},
		"29 days to go":     {reason: "it ends soon", first: client, then: client, after: leafLifetime - 29*24*time.Hour, writes: true},
		"31 days to go":     {reason: "there is time", first: client, then: client, after: leafLifetime - 31*24*time.Hour},
		"ended":             {reason: "it is of no use", first: client, then: client, after: 2 * leafLifetime, writes: true},
		"another user":      {reason: "it says someone else", first: client, then: Leaf{CommonName: "system:cluster:us", Organization: client.Organization}, writes: true},
		"another group":     {reason: "rights come from groups", first: client, then: Leaf{CommonName: client.CommonName, Organization: []string{"others"}}, writes: true},
		"another name":      {reason: "clients check the name", first: server, then: Leaf{CommonName: "s", DNSNames: []string{"localhost", "here"}, IPs: server.IPs}, writes: true},
		"another address":   {reason: "clients check the address", first: server, then: Leaf{CommonName: "s", DNSNames: server.DNSNames, IPs: []net.IP{net.IPv4(127, 0, 0, 2)}}, writes: true},
		"client for server": {reason: "the usage differs", first: Leaf{CommonName: "s"}, then: Leaf{CommonName: "s", DNSNames: []string{"s"}}, writes: true},
		"key is gone": {reason: "a certificate alone is of no use", first: client, then: client, writes: true,
			change: func(t *testing.T, f files) { require.NoError(t, os.Remove(f.key)) }},
		"key of another": {reason: "a kill between the two writes leaves this", first: client, then: client, writes: true,
			change: func(t *testing.T, f files) {
				dir := t.TempDir()
				newAuthority(t, dir)
				require.NoError(t, os.Rename(in(dir, "ca").key, f.key))
			}},
		"garbage": {reason: "a leaf can always be made again", first: client, then: client, writes: true,
			change: func(t *testing.T, f files) { require.NoError(t, os.WriteFile(f.cert, []byte("?"), 0o600)) }},
		"of another authority": {reason: "nobody here trusts it", first: client, then: client, writes: true,
			change: func(t *testing.T, f files) {
				_, err := newAuthority(t, t.TempDir()).Ensure(f.cert, f.key, Leaf{CommonName: "x"}, now)
				require.NoError(t, err)
				_, err = newAuthority(t, t.TempDir()).Ensure(f.cert, f.key, client, now)
				require.NoError(t, err)
			}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ca, f := newAuthority(t, dir), in(dir, "leaf")
			wrote, err := ca.Ensure(f.cert, f.key, tc.first, now)
			require.NoError(t, err)
			require.True(t, wrote, "there was none")
			if tc.change != nil {
				tc.change(t, f)
			}
			wrote, err = ca.Ensure(f.cert, f.key, tc.then, now.Add(tc.after))
			require.NoError(t, err)
			require.Equal(t, tc.writes, wrote, tc.reason)
			requireValid(t, ca, f, tc.then, now.Add(tc.after))
		})
	}
}

// requireValid checks the result as a peer would.
func requireValid(t *testing.T, ca *Authority, f files, leaf Leaf, at time.Time) {
	t.Helper()
	data, err := os.ReadFile(f.cert)
	require.NoError(t, err)
	parsed, err := parseOne(data)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	_, err = parsed.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{leaf.usage()}})
	require.NoError(t, err)
	for _, name := range leaf.DNSNames {
		require.NoError(t, parsed.VerifyHostname(name))
	}
	require.Equal(t, leaf.CommonName, parsed.Subject.CommonName)
	key, err := loadKey(f.key)
	require.NoError(t, err)
	require.True(t, belongs(parsed, key), "the key belongs to the certificate")
	info, err := os.Stat(f.key)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "a private key is its owner's alone")
}

func TestLeafDoesNotOutliveItsAuthority(t *testing.T) {
	dir := t.TempDir()
	ca, f := newAuthority(t, dir), in(dir, "leaf")
	_, err := ca.Ensure(f.cert, f.key, Leaf{CommonName: "x"}, ca.Cert.NotAfter.Add(-48*time.Hour))
	require.NoError(t, err)
	data, err := os.ReadFile(f.cert)
	require.NoError(t, err)
	parsed, err := parseOne(data)
	require.NoError(t, err)
	require.Equal(t, ca.Cert.NotAfter, parsed.NotAfter)
}

func TestSigningKeyIsKept(t *testing.T) {
	f := in(t.TempDir(), "sa")
	require.NoError(t, EnsureSigningKey(f.key, f.cert))
	public, err := os.ReadFile(f.cert)
	require.NoError(t, err)
	require.NoError(t, os.Remove(f.cert))
	require.NoError(t, EnsureSigningKey(f.key, f.cert))
	again, err := os.ReadFile(f.cert)
	require.NoError(t, err)
	require.Equal(t, public, again, "tokens that were given out stay good")
}

func TestKubeconfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "kubeconfig")
	k := Kubeconfig{Name: "eu", Server: "https://127.0.0.1:1", CA: []byte("ca"), ClientCert: []byte("cert"), ClientKey: []byte("key")}
	require.NoError(t, k.WriteFile(file))
	config, err := clientcmd.BuildConfigFromFlags("", file)
	require.NoError(t, err)
	require.Equal(t, k.Server, config.Host)
	require.Equal(t, k.CA, config.CAData)
	require.Equal(t, k.ClientCert, config.CertData)
	require.Equal(t, k.ClientKey, config.KeyData)
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}
