package trust

import (
	"fmt"
	"time"
)

// RootKeyKey is where the Secret of an external root has the root's key, if the
// federation is to sign intermediates.
const RootKeyKey = "root-key.pem"

// External is a CA that was not made here. The Secret that holds it has the root
// at "root-cert.pem" and either the root's key at "root-key.pem", or for each
// cluster its intermediate at "<cluster>.ca-cert.pem", "<cluster>.ca-key.pem" and
// "<cluster>.cert-chain.pem".
type External struct {
	// Root is the one root. Its Key is nil when intermediates are given.
	Root *Authority
	// Intermediates by cluster, empty when Root signs them.
	Intermediates map[string]*Intermediate
}

// ParseExternal reads the Secret of an external CA for the clusters of a mesh.
// Errors are ErrEncoding or ErrUnusable and name the key of the data.
func ParseExternal(data map[string][]byte, clusters []string, now time.Time) (*External, error) {
	roots, err := parseAt(data, RootCertKey)
	if err != nil {
		return nil, err
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("%s: %w: there are %d roots; leave the one that is to be trusted, the change from another one is made in stages", RootCertKey, ErrUnusable, len(roots))
	}
	if err := checkAuthority(roots[0], now); err != nil {
		return nil, fmt.Errorf("%s: %w", RootCertKey, err)
	}
	external := &External{Root: &Authority{Certificate: roots[0]}, Intermediates: map[string]*Intermediate{}}
	if text, ok := data[RootKeyKey]; ok {
		key, err := ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", RootKeyKey, err)
		}
		if err := checkSigner(roots[0], key, now); err != nil {
			return nil, fmt.Errorf("%s with %s: %w", RootCertKey, RootKeyKey, err)
		}
		if roots[0].MaxPathLen == 0 && roots[0].MaxPathLenZero {
			return nil, fmt.Errorf("%s: %w: it allows no intermediate (pathlen:0), and its own key must not go into clusters", RootCertKey, ErrUnusable)
		}
		external.Root.Key = key
		return external, nil
	}
	for _, cluster := range clusters {
		signer, err := parseGiven(data, cluster, now)
		if err != nil {
			return nil, err
		}
		external.Intermediates[cluster] = signer
	}
	return external, nil
}

func parseGiven(data map[string][]byte, cluster string, now time.Time) (*Intermediate, error) {
	for _, key := range []string{CACertKey, CAKeyKey, CertChainKey} {
		if _, ok := data[cluster+"."+key]; !ok {
			return nil, fmt.Errorf("%s.%s: %w: it is missing; add it, or %s so that the federation signs an intermediate", cluster, key, ErrUnusable, RootKeyKey)
		}
	}
	return parseCA(data, cluster+".", now)
}

// Signer is the intermediate of a cluster: the given one, or a new one.
func (e *External) Signer(mesh Mesh, cluster string, now time.Time, lifetime time.Duration) (*Intermediate, error) {
	if signer, ok := e.Intermediates[cluster]; ok {
		return signer, nil
	}
	return NewIntermediate(e.Root, mesh, cluster, now, lifetime)
}
