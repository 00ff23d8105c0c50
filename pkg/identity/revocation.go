package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// backdate is by how much Kubernetes' signer dates certificates back, so that a clock
// that is behind accepts them (pkg/controller/certificates/signer, policy). The
// certificates this project signs by itself have the same (pkg/apiserver/pki).
const backdate = 5 * time.Minute

// Revocations say for clusters up to when certificates of their agents were issued
// that count no more. It is the data of the ConfigMap kube-system/flotilla-revoked-agents:
// the cluster's name, and a time in RFC 3339.
type Revocations map[string]time.Time

// ParseRevocations reads the data of the ConfigMap. A time that cannot be read is an
// error, and revokes everything: somebody wanted to revoke something.
func ParseRevocations(data map[string]string) (Revocations, error) {
	out, errs := Revocations{}, []error(nil)
	for cluster, text := range data {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s: %q is not a time as in %s: until it is set right, no certificate of this cluster's agent counts", cluster, text, time.RFC3339))
			at = forever
		}
		out[cluster] = at
	}
	return out, errors.Join(errs...)
}

// forever is later than any certificate.
var forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Format is how a time is written into the ConfigMap: in whole seconds, rounded up,
// as certificates have whole seconds. What was issued in this second is revoked.
func Format(at time.Time) string {
	if whole := at.Truncate(time.Second); whole.Before(at) {
		at = whole.Add(time.Second)
	}
	return at.UTC().Format(time.RFC3339)
}

// Revoked says whether a certificate of a cluster's agent counts no more, and since
// when.
func (r Revocations) Revoked(cluster string, cert *x509.Certificate) (time.Time, bool) {
	at, ok := r[cluster]
	return at, ok && !IssuedAt(cert).After(at)
}

// IssuedAt is when a certificate was signed by a signer that dates back as
// Kubernetes' does. One by another hand seems issued five minutes later than it was.
func IssuedAt(cert *x509.Certificate) time.Time { return cert.NotBefore.Add(backdate) }
