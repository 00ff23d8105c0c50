package trust

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseExternal(t *testing.T) {
	root, other := newRoot(t, 1), newRoot(t, 2)
	key, err := EncodeKey(root.Key)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := EncodeKey(other.Key)
	if err != nil {
		t.Fatal(err)
	}
	given := func(root *Authority, clusters ...string) map[string][]byte {
		data := map[string][]byte{RootCertKey: Bundle(root.Certificate)}
		for _, cluster := range clusters {
			ca, err := CACerts(newSigner(t, root, cluster), []*x509.Certificate{root.Certificate}, epoch)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{CACertKey, CAKeyKey, CertChainKey} {
				data[cluster+"."+name] = ca[name]
			}
		}
		return data
	}
	with := func(data map[string][]byte, name string, text []byte) map[string][]byte {
		data[name] = text
		return data
	}
	leaf := Bundle(newLeaf(t, newSigner(t, root, "eu"), epoch, LeafLifetime).cert)
	cases := map[string]struct {
		reason string
		data   map[string][]byte
		now    time.Time // epoch if zero
		signs  bool
		want   error
		names  []string // what the error names
	}{
		"RootSigns":     {reason: "The federation signs under a root it was given.", data: with(given(root), RootKeyKey, key), signs: true},
		"Given":         {reason: "Every cluster has its intermediate.", data: given(root, "eu", "ap")},
		"OneMissing":    {reason: "A cluster would have no CA.", data: given(root, "eu"), want: ErrUnusable, names: []string{"ap.ca-cert.pem", "add it, or root-key.pem"}},
		"OtherRootsKey": {reason: "Nothing signed with it would verify.", data: with(given(root), RootKeyKey, otherKey), want: ErrUnusable, names: []string{"root-cert.pem", "root-key.pem", "not that of the certificate"}},
		"BrokenRootKey": {reason: "It is no key.", data: with(given(root), RootKeyKey, []byte("x")), want: ErrEncoding, names: []string{"root-key.pem"}},
		"NoRoot":        {reason: "There is nothing to trust.", data: map[string][]byte{}, want: ErrEncoding, names: []string{"root-cert.pem"}},
		"BrokenRoot":    {reason: "It is no certificate.", data: with(given(root, "eu", "ap"), RootCertKey, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), want: ErrEncoding, names: []string{"root-cert.pem"}},
		"TwoRoots":      {reason: "The change of a root is made in stages, not by the user.", data: with(given(root, "eu", "ap"), RootCertKey, Bundle(root.Certificate, other.Certificate)), want: ErrUnusable, names: []string{"root-cert.pem"}},
		"UnderOther":    {reason: "Peers would not trust it.", data: with(given(other, "eu", "ap"), RootCertKey, Bundle(root.Certificate)), want: ErrUnusable, names: []string{"eu.ca-cert.pem", "root-cert.pem"}},
		"RootEnded":     {reason: "Nobody trusts what has ended.", data: given(root), now: epoch.Add(RootLifetime), want: ErrUnusable, names: []string{"root-cert.pem", "has ended on"}},
		"RootNotYet":    {reason: "Nobody trusts what has not begun.", data: given(root), now: epoch.Add(-2 * backdate), want: ErrUnusable, names: []string{"root-cert.pem", "valid only from"}},
		"LeafForRoot":   {reason: "It cannot sign, be its key there or not.", data: with(given(root), RootCertKey, leaf), want: ErrUnusable, names: []string{"root-cert.pem", "CA:true"}},
		"Ended":         {reason: "Nobody trusts what it signs.", data: given(root, "eu", "ap"), now: epoch.Add(IntermediateLifetime), want: ErrUnusable, names: []string{"eu.ca-cert.pem", "has ended on"}},
		"OtherKey":      {reason: "Nothing signed with it would verify.", data: with(given(root, "eu", "ap"), "ap.ca-key.pem", otherKey), want: ErrUnusable, names: []string{"ap.ca-cert.pem", "ap.ca-key.pem"}},
		"BrokenChain":   {reason: "istiod would not start with it.", data: with(given(root, "eu", "ap"), "ap.cert-chain.pem", []byte("x")), want: ErrEncoding, names: []string{"ap.cert-chain.pem"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			now := tc.now
			if now.IsZero() {
				now = epoch
			}
			external, err := ParseExternal(tc.data, []string{"eu", "ap"}, now)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%s Got error %v, want %v", tc.reason, err, tc.want)
			}
			if err != nil {
				for _, name := range tc.names {
					if !strings.Contains(err.Error(), name) {
						t.Errorf("%s The error does not tell %q: %v", tc.reason, name, err)
					}
				}
				return
			}
			if (external.Root.Key != nil) != tc.signs {
				t.Errorf("%s The root has a key: %v", tc.reason, external.Root.Key != nil)
			}
			signer, err := external.Signer(testMesh, "eu", epoch, IntermediateLifetime)
			if err != nil {
				t.Fatal(err)
			}
			if err := trusted(newLeaf(t, signer, epoch, LeafLifetime), []*x509.Certificate{root.Certificate}, epoch); err != nil {
				t.Errorf("%s What it signs is not trusted: %v", tc.reason, err)
			}
		})
	}
}

// TestRootsOfOpenSSL: openssl req -x509 makes roots without the extension keyUsage.
func TestRootsOfOpenSSL(t *testing.T) {
	root := newRoot(t, 1)
	template := *root.Certificate
	template.KeyUsage = 0
	plain, err := sign(&template, &template, root.Key.Public(), root.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := EncodeKey(root.Key)
	if err != nil {
		t.Fatal(err)
	}
	external, err := ParseExternal(map[string][]byte{RootCertKey: Bundle(plain), RootKeyKey: key}, nil, epoch)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := external.Signer(testMesh, "eu", epoch, IntermediateLifetime)
	if err != nil {
		t.Fatal(err)
	}
	if err := trusted(newLeaf(t, signer, epoch, LeafLifetime), []*x509.Certificate{plain}, epoch); err != nil {
		t.Error(err)
	}
}
