package trust

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrMissing means that a root is named that is not stored.
var ErrMissing = errors.New("is not stored")

// Store is what the federation keeps of the trust of a mesh: the state, and the
// roots with their keys. It goes into one Secret of the federation, and nowhere
// else.
type Store struct {
	State State
	Roots map[Fingerprint]*Authority
}

// Keys of the Secret of a Store.
const (
	stateKey    = "state.json"
	rootCertEnd = ".crt"
	rootKeyEnd  = ".key"
)

// NewStore is the store of a mesh with its first root.
func NewStore(root *Authority) *Store {
	return &Store{State: NewState(root.Fingerprint()), Roots: map[Fingerprint]*Authority{root.Fingerprint(): root}}
}

// Root is a stored root; ErrMissing when it is not there.
func (s *Store) Root(f Fingerprint) (*Authority, error) {
	root, ok := s.Roots[f]
	if !ok {
		return nil, fmt.Errorf("root %s of the mesh %w; restore the federation's Secret of it from a backup", f.Short(), ErrMissing)
	}
	return root, nil
}

// Trusted are the roots that every cluster has to trust in the present stage, in
// the order of the bundle.
func (s *Store) Trusted() ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, f := range s.State.Want().Roots {
		root, err := s.Root(f)
		if err != nil {
			return nil, err
		}
		certs = append(certs, root.Certificate)
	}
	return certs, nil
}

// Signer is the root under which the intermediates of the present stage are.
func (s *Store) Signer() (*Authority, error) { return s.Root(s.State.Want().Signer) }

// Begin starts the change to another root and keeps that. ErrRotating when a
// change is under way.
func (s *Store) Begin(next *Authority) (*Store, error) {
	state, err := s.State.Begin(next.Fingerprint())
	if err != nil {
		return s, err
	}
	return s.with(state, next), nil
}

// Replace makes another root the only one, at once. That is right when no cluster has
// anything under the present one. ErrRotating when a change is under way.
func (s *Store) Replace(next *Authority) (*Store, error) {
	state, err := s.State.Begin(next.Fingerprint())
	for err == nil && state.Stage != Steady {
		state = state.next()
	}
	if err != nil {
		return s, err
	}
	return s.with(state, next), nil
}

// With is the store in another state. Roots that the state does not name are
// dropped, with their keys.
func (s *Store) With(state State) *Store { return s.with(state) }

func (s *Store) with(state State, more ...*Authority) *Store {
	kept := &Store{State: state, Roots: map[Fingerprint]*Authority{}}
	for f, root := range s.Roots {
		if f == state.Current || f == state.Next {
			kept.Roots[f] = root
		}
	}
	for _, root := range more {
		kept.Roots[root.Fingerprint()] = root
	}
	return kept
}

// Encode writes the store as data of a Secret. The same store gives the same
// bytes.
func (s *Store) Encode() (map[string][]byte, error) {
	state, err := json.Marshal(s.State)
	if err != nil {
		return nil, fmt.Errorf("state of the root: %w", err)
	}
	data := map[string][]byte{stateKey: state}
	for f, root := range s.Roots {
		name := fileName(f)
		data[name+rootCertEnd] = Bundle(root.Certificate)
		if root.Key == nil {
			continue
		}
		if data[name+rootKeyEnd], err = EncodeKey(root.Key); err != nil {
			return nil, fmt.Errorf("root %s: %w", f.Short(), err)
		}
	}
	return data, nil
}

// DecodeStore reads the data of a Secret. ErrEncoding or ErrMissing when it is not
// complete: nothing may be signed or trusted then.
func DecodeStore(data map[string][]byte) (*Store, error) {
	s := &Store{Roots: map[Fingerprint]*Authority{}}
	if err := json.Unmarshal(data[stateKey], &s.State); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", stateKey, ErrEncoding, err)
	}
	for key, text := range data {
		name, ok := strings.CutSuffix(key, rootCertEnd)
		if !ok {
			continue
		}
		certs, err := ParseCertificates(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		root := &Authority{Certificate: certs[0]}
		if fileName(root.Fingerprint()) != name {
			return nil, fmt.Errorf("%s: %w: it holds another root than its name says", key, ErrEncoding)
		}
		if text, ok := data[name+rootKeyEnd]; ok {
			if root.Key, err = ParseKey(text); err != nil {
				return nil, fmt.Errorf("%s%s: %w", name, rootKeyEnd, err)
			}
		}
		s.Roots[root.Fingerprint()] = root
	}
	if _, err := s.Trusted(); err != nil {
		return nil, err
	}
	return s, nil
}

// fileName is a fingerprint as part of a key of a Secret, which has no colons.
func fileName(f Fingerprint) string { return "root-" + strings.TrimPrefix(string(f), "sha256:") }
