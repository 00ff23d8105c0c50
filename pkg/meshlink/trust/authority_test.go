package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCertificates(t *testing.T) {
	root := newRoot(t, 3)
	signer := newSigner(t, root, "eu")
	if got := root.Certificate.Subject.String(); got != "CN=Root CA 3,O=mesh1" {
		t.Errorf("subject of the root: %s", got)
	}
	if got := signer.Certificate.Subject.String(); got != "CN=Intermediate CA,O=mesh1,L=eu" {
		t.Errorf("subject of the intermediate: %s", got)
	}
	for name, cert := range map[string]*x509.Certificate{"root": root.Certificate, "intermediate": signer.Certificate} {
		if len(cert.URIs) != 1 || cert.URIs[0].String() != "spiffe://cluster.local" {
			t.Errorf("%s: SPIFFE ID is %v", name, cert.URIs)
		}
		if !cert.NotBefore.Before(epoch) {
			t.Errorf("%s: not valid for a member whose clock is slow", name)
		}
	}
	if c := signer.Certificate; c.MaxPathLen != 0 || !c.MaxPathLenZero || !c.IsCA {
		t.Errorf("intermediate: pathlen %d (zero: %v), CA %v; want pathlen:0", c.MaxPathLen, c.MaxPathLenZero, c.IsCA)
	}

	// An intermediate must not be able to make further ones.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template, err := template(epoch, epoch.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	template.MaxPathLenZero = true
	below, err := sign(template, signer.Certificate, key.Public(), signer.Key)
	if err != nil {
		t.Fatal(err)
	}
	deep := &Intermediate{Certificate: below, Key: key, Chain: []*x509.Certificate{below, signer.Certificate}}
	if err := trusted(newLeaf(t, deep, epoch, time.Hour), []*x509.Certificate{root.Certificate}, epoch); err == nil {
		t.Error("an intermediate made another one, and peers trust what that signs")
	}
}

func TestNewIntermediate(t *testing.T) {
	root := newRoot(t, 1)
	cases := map[string]struct {
		reason   string
		root     *Authority
		now      time.Time
		lifetime time.Duration
		wantEnd  time.Time
		wantErr  error
		fails    bool
	}{
		"Plain":        {reason: "It lives as long as is asked for.", root: root, now: epoch, lifetime: time.Hour, wantEnd: epoch.Add(time.Hour)},
		"OutlivesRoot": {reason: "It would be trusted by nobody after the root's end.", root: root, now: epoch.Add(RootLifetime - time.Hour), lifetime: 2 * time.Hour, wantEnd: root.Certificate.NotAfter},
		"RootEnded":    {reason: "There is nothing to sign with.", root: root, now: epoch.Add(RootLifetime), lifetime: time.Hour, fails: true},
		"NoKey":        {reason: "The root is only trusted.", root: &Authority{Certificate: root.Certificate}, now: epoch, lifetime: time.Hour, fails: true, wantErr: ErrNoKey},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := NewIntermediate(tc.root, testMesh, "eu", tc.now, tc.lifetime)
			if (err != nil) != tc.fails || (tc.wantErr != nil && !errors.Is(err, tc.wantErr)) {
				t.Fatalf("%s Got error %v", tc.reason, err)
			}
			if err == nil && !got.Certificate.NotAfter.Equal(tc.wantEnd) {
				t.Errorf("%s It ends %s, want %s", tc.reason, got.Certificate.NotAfter, tc.wantEnd)
			}
		})
	}
}

// TestCACerts reads what is written as istiod does (Verify in
// security/pkg/pki/util/keycertbundle.go), at a time when both roots are trusted.
func TestCACerts(t *testing.T) {
	older, newer := newRoot(t, 1), newRoot(t, 2)
	roots := []*x509.Certificate{older.Certificate, newer.Certificate}
	var bundles [][]byte
	for _, cluster := range []string{"eu", "ap"} {
		data, err := CACerts(newSigner(t, older, cluster), roots, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != 4 {
			t.Errorf("keys: %v", data)
		}
		if _, err := tls.X509KeyPair(data[CACertKey], data[CAKeyKey]); err != nil {
			t.Errorf("certificate and key: %v", err)
		}
		pool, chain := x509.NewCertPool(), x509.NewCertPool()
		if !pool.AppendCertsFromPEM(data[RootCertKey]) || !chain.AppendCertsFromPEM(data[CertChainKey]) {
			t.Fatal("the bundles cannot be read")
		}
		block, rest := pem.Decode(data[CACertKey])
		if block == nil || len(rest) > 0 {
			t.Fatal("ca-cert.pem must hold exactly one certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, Intermediates: chain, CurrentTime: epoch}); err != nil {
			t.Errorf("istiod would refuse it: %v", err)
		}
		bundles = append(bundles, data[RootCertKey])
	}
	if diff := cmp.Diff(bundles[0], bundles[1]); diff != "" {
		t.Errorf("root-cert.pem differs between clusters:\n%s", diff)
	}
}

func TestParseCACerts(t *testing.T) {
	root, other := newRoot(t, 1), newRoot(t, 2)
	signer := newSigner(t, root, "eu")
	valid, err := CACerts(signer, []*x509.Certificate{root.Certificate}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := EncodeKey(newSigner(t, root, "ap").Key)
	if err != nil {
		t.Fatal(err)
	}
	rootKey, err := EncodeKey(root.Key)
	if err != nil {
		t.Fatal(err)
	}
	own := newLeaf(t, signer, epoch, time.Hour)
	cases := map[string]struct {
		reason  string
		changes map[string][]byte
		now     time.Time
		want    error
	}{
		"Valid":       {reason: "It was made here.", now: epoch},
		"OtherKey":    {reason: "Nothing signed with it would verify.", now: epoch, changes: map[string][]byte{CAKeyKey: otherKey}, want: ErrUnusable},
		"NoKey":       {reason: "There is nothing to sign with.", now: epoch, changes: map[string][]byte{CAKeyKey: nil}, want: ErrEncoding},
		"OtherRoot":   {reason: "Peers would not trust it.", now: epoch, changes: map[string][]byte{RootCertKey: Bundle(other.Certificate)}, want: ErrUnusable},
		"TwoRoots":    {reason: "One of them is enough.", now: epoch, changes: map[string][]byte{RootCertKey: Bundle(other.Certificate, root.Certificate)}},
		"RootInChain": {reason: "Istio's own Makefile writes it so.", now: epoch, changes: map[string][]byte{CertChainKey: Bundle(signer.Certificate, root.Certificate)}},
		"NoChain":     {reason: "istiod calls that incomplete and does not start.", now: epoch, changes: map[string][]byte{CertChainKey: nil}, want: ErrEncoding},
		"RootItself":  {reason: "The root's key must not be in a cluster.", now: epoch, changes: map[string][]byte{CACertKey: Bundle(root.Certificate), CAKeyKey: rootKey, CertChainKey: Bundle(root.Certificate)}, want: ErrUnusable},
		"Leaf":        {reason: "It may not sign.", now: epoch, changes: map[string][]byte{CACertKey: Bundle(own.cert)}, want: ErrUnusable},
		"Ended":       {reason: "It is over.", now: epoch.Add(IntermediateLifetime), want: ErrUnusable},
		"NotYet":      {reason: "It is not valid yet.", now: epoch.Add(-2 * backdate), want: ErrUnusable},
		"KeyInRoots":  {reason: "Roots go to every workload.", now: epoch, changes: map[string][]byte{RootCertKey: rootKey}, want: ErrEncoding},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for key, text := range valid {
				data[key] = text
			}
			for key, text := range tc.changes {
				data[key] = text
			}
			got, err := ParseCACerts(data, tc.now)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%s Got error %v, want %v", tc.reason, err, tc.want)
			}
			if err == nil && got.Root != root.Fingerprint() {
				t.Errorf("%s It leads to %s", tc.reason, got.Root)
			}
		})
	}
}

func TestParseKey(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := EncodeKey(rs)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	cases := map[string]struct {
		reason string
		text   []byte
		want   error
	}{
		"PKCS8":     {reason: "What is written here.", text: pkcs8},
		"SEC1":      {reason: "What openssl ecparam writes.", text: block("EC PRIVATE KEY", sec1)},
		"PKCS1":     {reason: "What older openssl genrsa writes.", text: block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs))},
		"Encrypted": {reason: "istiod has no password for it.", text: block("ENCRYPTED PRIVATE KEY", sec1), want: ErrEncoding},
		"Mislabel":  {reason: "The block is not what it says.", text: block("RSA PRIVATE KEY", sec1), want: ErrEncoding},
		"Empty":     {reason: "There is nothing.", want: ErrEncoding},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseKey(tc.text); !errors.Is(err, tc.want) {
				t.Errorf("%s Got error %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}
