package tokens

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// renewal is how long a new token may take: the federation hands out one a minute.
const renewal = 2 * time.Minute

// pair is an ordered pair of members.
type pair struct{ from, to string }

func pairs() (all []pair) {
	for _, from := range meshlab.Names {
		for _, to := range meshlab.Names {
			if from != to {
				all = append(all, pair{from, to})
			}
		}
	}
	return all
}

func tokens(s *meshlab.Session) map[pair]string {
	s.Helper()
	found := map[pair]string{}
	for _, p := range pairs() {
		found[p] = s.Token(p.from, p.to)
	}
	return found
}

// reads says what comes of reading a member with a token.
func reads(ctx context.Context, name, token string) error {
	client, err := shared.Members[name].With(token)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	return err
}

// ended waits until a token is of no use.
func ended(s *meshlab.Session, name, token string) {
	s.Helper()
	s.Await("the first token for "+name+" has ended", func() error {
		switch err := reads(s.Context(), name, token); {
		case err == nil:
			member, err := s.GetMember(name, meshlab.Mesh)
			if err != nil {
				return fmt.Errorf("it is valid; %w", err)
			}
			return fmt.Errorf("it is valid; asked is %+v, told is %+v", member.Spec.Reader, member.Status.Token)
		case apierrors.IsUnauthorized(err):
			return nil
		default:
			return err
		}
	})
}

// same says what is known of a token that has not changed.
func same(s *meshlab.Session, name string) error {
	s.Helper()
	member, err := s.GetMember(name, meshlab.Mesh)
	if err != nil {
		return fmt.Errorf("it is the same; %w", err)
	}
	return fmt.Errorf("it is the same; asked is %+v, told is %+v: %+v", member.Spec.Reader, member.Status.Token, member.Status.Conditions)
}

// TestTokensChangeAndNoCallFails: tokens are to live for a shorter time, so all are
// made anew at once. Nobody loses sight of anybody meanwhile.
func TestTokensChangeAndNoCallFails(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6, "remoteAccess: {tokenTTL: 24h}")
	before := tokens(s)
	load := s.StartLoad("eu")
	load.Answers(5, meshlab.Names...)
	begin := time.Now()

	s.Edit(meshlab.Mesh, `{"spec":{"remoteAccess":{"tokenTTL":"10m"}}}`)
	for _, p := range pairs() {
		s.AwaitWithin(renewal, fmt.Sprintf("%s has another token for %s", p.from, p.to), func() error {
			for _, name := range meshlab.Names {
				if err := s.ReadsNow(name, meshlab.Others(name)...); err != nil {
					s.Fatal(err)
				}
			}
			if s.Token(p.from, p.to) == before[p] {
				return same(s, p.to)
			}
			return nil
		})
	}
	for _, p := range pairs() {
		ended(s, p.to, before[p])
		require.NoError(t, reads(t.Context(), p.to, s.Token(p.from, p.to)))
	}
	mesh := s.Ready(meshlab.Mesh, "3/3", "6/6")
	for i := range mesh.Status.Clusters {
		expires := mesh.Status.Clusters[i].TokenExpires
		require.NotNil(t, expires)
		require.WithinDuration(t, time.Now().Add(10*time.Minute), expires.Time, 2*time.Minute)
	}
	for _, name := range meshlab.Names {
		s.Synced(name, meshlab.Others(name)...)
	}
	load.Answers(5, meshlab.Names...)
	load.NoneFailed(begin)
}
