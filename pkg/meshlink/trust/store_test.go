package trust

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStore(t *testing.T) {
	first, second := newRoot(t, 1), newRoot(t, 2)
	store, err := NewStore(first).Begin(second)
	if err != nil {
		t.Fatal(err)
	}
	data, err := store.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeStore(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(store.State, back.State); diff != "" {
		t.Errorf("state (-stored +read):\n%s", diff)
	}
	again, err := back.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(data, again); diff != "" {
		t.Errorf("data (-stored +written again):\n%s", diff)
	}
	signer, err := back.Signer()
	if err != nil {
		t.Fatal(err)
	}
	if signer.Fingerprint() != first.Fingerprint() || signer.Key == nil {
		t.Error("in the first stage the old root signs, and has its key")
	}
	if _, err := back.Begin(newRoot(t, 3)); !errors.Is(err, ErrRotating) {
		t.Errorf("one change at a time, got error %v", err)
	}

	done := back.With(State{Generation: 2, Stage: Steady, Current: second.Fingerprint()})
	if _, err := done.Root(first.Fingerprint()); !errors.Is(err, ErrMissing) {
		t.Errorf("the key of the old root is kept, got error %v", err)
	}
	if trusted, err := done.Trusted(); err != nil || len(trusted) != 1 {
		t.Errorf("trusted: %v, error %v", trusted, err)
	}
}

// TestReplace: the root that nobody has is known afterwards, and its key is not.
func TestReplace(t *testing.T) {
	first, second := newRoot(t, 1), newRoot(t, 2)
	store, err := NewStore(first).Replace(second)
	if err != nil {
		t.Fatal(err)
	}
	want := State{Generation: 2, Stage: Steady, Current: second.Fingerprint(), Former: []Fingerprint{first.Fingerprint()}}
	if diff := cmp.Diff(want, store.State); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if len(store.Roots) != 1 || store.Roots[second.Fingerprint()] == nil {
		t.Errorf("roots: %v", store.Roots)
	}
	begun, err := store.Begin(newRoot(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begun.Replace(first); !errors.Is(err, ErrRotating) {
		t.Errorf("during a change: %v", err)
	}
}

func TestDecodeStoreRefuses(t *testing.T) {
	first, second := newRoot(t, 1), newRoot(t, 2)
	store, err := NewStore(first).Begin(second)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		change func(map[string][]byte)
		want   error
	}{
		"Whole":    {reason: "It is complete.", change: func(map[string][]byte) {}},
		"NoState":  {reason: "Which root signs is not known.", change: func(d map[string][]byte) { delete(d, stateKey) }, want: ErrEncoding},
		"LostRoot": {reason: "Going on with one root would skip a stage.", change: func(d map[string][]byte) { delete(d, fileName(second.Fingerprint())+rootCertEnd) }, want: ErrMissing},
		"Swapped": {reason: "A root that was exchanged must not be trusted.", change: func(d map[string][]byte) {
			d[fileName(first.Fingerprint())+rootCertEnd] = d[fileName(second.Fingerprint())+rootCertEnd]
		}, want: ErrEncoding},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data, err := store.Encode()
			if err != nil {
				t.Fatal(err)
			}
			tc.change(data)
			if _, err := DecodeStore(data); !errors.Is(err, tc.want) {
				t.Errorf("%s Got error %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	foreign := &Found{Exists: true, Roots: []Fingerprint{"sha256:1234567890"}}
	cases := map[string]struct {
		reason string
		found  *Found
		adopt  bool
		want   string
		write  bool
		join   bool     // without being written
		names  []string // what the message must tell
	}{
		"NotReported":  {reason: "Nothing is overwritten unseen.", want: CAUnknown, names: []string{"eu", "agent"}},
		"UnseenAdopt":  {reason: "Not even then: it could be another Mesh's.", adopt: true, want: CAUnknown, names: []string{"eu"}},
		"Absent":       {reason: "Nothing is lost.", found: &Found{}, want: CAAbsent, write: true},
		"Ours":         {reason: "We made it.", found: &Found{Exists: true, Mesh: "mesh1"}, want: CAOurs, write: true},
		"Foreign":      {reason: "Somebody made it by hand.", found: foreign, want: CAForeign, names: []string{"eu", "istio-system/cacerts", "12345678", "adopt: true", "External"}},
		"OwnCA":        {reason: "It is under the root that was named.", found: &Found{Exists: true, Roots: foreign.Roots, Trusted: true}, want: CATheirs, join: true, names: []string{"eu", "12345678", "renews it"}},
		"OwnAdopted":   {reason: "They gave it up all the same.", found: &Found{Exists: true, Roots: foreign.Roots, Trusted: true}, adopt: true, want: CAAdopted, write: true},
		"Adopted":      {reason: "They said so.", found: foreign, adopt: true, want: CAAdopted, write: true},
		"OtherLife":    {reason: "Another federation may have a Mesh of that name.", found: &Found{Exists: true, Mesh: "mesh1", Unknown: true, Roots: foreign.Roots}, want: CAUnknownRoots, names: []string{"eu", "adopt: true", "12345678"}},
		"OtherLifeOld": {reason: "It was given up.", found: &Found{Exists: true, Mesh: "mesh1", Unknown: true}, adopt: true, want: CAAdopted, write: true},
		"OtherMesh":    {reason: "Two Meshes would fight.", found: &Found{Exists: true, Mesh: "mesh2"}, want: CAOtherMesh, names: []string{"eu", "mesh2"}},
		"OtherAdopted": {reason: "The other Mesh did not say so.", found: &Found{Exists: true, Mesh: "mesh2"}, adopt: true, want: CAOtherMesh, names: []string{"mesh2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Judge("mesh1", "eu", tc.found, tc.adopt)
			if got.Reason != tc.want || got.Write != tc.write || got.Join != (tc.write || tc.join) {
				t.Errorf("%s Got %+v", tc.reason, got)
			}
			for _, name := range tc.names {
				if !strings.Contains(got.Message, name) {
					t.Errorf("the message does not tell %q: %s", name, got.Message)
				}
			}
		})
	}
}
