package trust

import (
	"crypto/x509"
	"errors"
	"testing"
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
	cases := map[string]struct {
		reason string
		data   map[string][]byte
		signs  bool
		want   error
	}{
		"RootSigns":     {reason: "The federation signs under a root it was given.", data: with(given(root), RootKeyKey, key), signs: true},
		"Given":         {reason: "Every cluster has its intermediate.", data: given(root, "eu", "ap")},
		"OneMissing":    {reason: "A cluster would have no CA.", data: given(root, "eu"), want: ErrUnusable},
		"OtherRootsKey": {reason: "Nothing signed with it would verify.", data: with(given(root), RootKeyKey, otherKey), want: ErrUnusable},
		"NoRoot":        {reason: "There is nothing to trust.", data: map[string][]byte{}, want: ErrEncoding},
		"TwoRoots":      {reason: "The change of a root is made in stages, not by the user.", data: with(given(root, "eu", "ap"), RootCertKey, Bundle(root.Certificate, other.Certificate)), want: ErrUnusable},
		"UnderOther":    {reason: "Peers would not trust it.", data: with(given(other, "eu", "ap"), RootCertKey, Bundle(root.Certificate)), want: ErrUnusable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			external, err := ParseExternal(tc.data, []string{"eu", "ap"}, epoch)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%s Got error %v, want %v", tc.reason, err, tc.want)
			}
			if err != nil {
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
