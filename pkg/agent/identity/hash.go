package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/util/cert"
)

// Hash is the SHA-256 of a CA certificate's SubjectPublicKeyInfo (RFC 7469), so a CA that is renewed
// with the same key keeps it. It is what kubeadm calls discovery-token-ca-cert-hash.
type Hash [sha256.Size]byte

const hashPrefix = "sha256:"

// ErrHash marks a text that is no hash.
var ErrHash = errors.New("not a CA hash")

// ParseHash reads sha256:<64 hexadecimal digits>.
func ParseHash(text string) (Hash, error) {
	var out Hash
	digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), hashPrefix)
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(out) {
		return out, fmt.Errorf("%w: %q: use sha256: and 64 hexadecimal digits, as \"fedctl token create\" prints them", ErrHash, text)
	}
	return Hash(raw), nil
}

// HashOf is the hash of a certificate.
func HashOf(certificate *x509.Certificate) Hash {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// String is what ParseHash reads.
func (h Hash) String() string { return hashPrefix + hex.EncodeToString(h[:]) }

// pinned returns the certificates of a PEM bundle that have one of the hashes, and the hashes of all.
// Certificates that come with a pinned one are not trusted for its sake.
func pinned(bundle []byte, pins []Hash) (trusted []*x509.Certificate, found []Hash, err error) {
	all, err := cert.ParseCertsPEM(bundle)
	if err != nil {
		return nil, nil, fmt.Errorf("CA certificates: %w", err)
	}
	for _, certificate := range all {
		hash := HashOf(certificate)
		found = append(found, hash)
		if slices.Contains(pins, hash) {
			trusted = append(trusted, certificate)
		}
	}
	return trusted, found, nil
}
