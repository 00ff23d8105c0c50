package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/url"
	"testing"
	"time"
)

var (
	epoch    = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	testMesh = Mesh{Name: "mesh1", TrustDomain: "cluster.local"}
)

func newRoot(t testing.TB, generation int64) *Authority {
	t.Helper()
	root, err := NewRoot(testMesh, generation, epoch, RootLifetime)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func newSigner(t testing.TB, root *Authority, cluster string) *Intermediate {
	t.Helper()
	signer, err := NewIntermediate(root, testMesh, cluster, epoch, IntermediateLifetime)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// leaf is the certificate of a workload as istiod signs it, with the chain that
// the workload shows to its peers.
type leaf struct {
	cert  *x509.Certificate
	chain []*x509.Certificate
}

func newLeaf(t testing.TB, signer *Intermediate, from time.Time, lifetime time.Duration) leaf {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := from.Add(lifetime)
	if end.After(signer.Certificate.NotAfter) {
		end = signer.Certificate.NotAfter // as istiod does
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from.Add(-2 * time.Minute), NotAfter: end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: testMesh.TrustDomain, Path: "/ns/shop/sa/web"}},
	}
	cert, err := sign(template, signer.Certificate, key.Public(), signer.Key)
	if err != nil {
		t.Fatal(err)
	}
	return leaf{cert: cert, chain: signer.Chain}
}

// trusted says whether a peer with some roots accepts a leaf.
func trusted(l leaf, roots []*x509.Certificate, now time.Time) error {
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, root := range roots {
		options.Roots.AddCert(root)
	}
	for _, c := range l.chain {
		options.Intermediates.AddCert(c)
	}
	_, err := l.cert.Verify(options)
	return err
}
