package tokens

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// moved is a clock that a test moves on.
type moved struct {
	clock.RealClock
	by atomic.Int64
}

func (m *moved) Now() time.Time { return m.RealClock.Now().Add(time.Duration(m.by.Load())) }

func (m *moved) Since(t time.Time) time.Duration { return m.Now().Sub(t) }

// TestATokenIsRenewedAtHalfOfItsLife: six of ten minutes go by in eu.
func TestATokenIsRenewedAtHalfOfItsLife(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6, "remoteAccess: {tokenTTL: 10m}", "withdrawAfter: 10m")
	before := tokens(s)
	load := s.StartLoad("ap")
	load.Answers(5, meshlab.Names...)
	begin := time.Now()

	now := &moved{}
	giveBack := s.TakeOver("eu", func(o *mesh.Options) { o.Clock = now })
	now.by.Store(int64(6 * time.Minute))
	peers := meshlab.Others("eu")
	for _, peer := range peers {
		s.AwaitWithin(renewal, peer+" has another token for eu", func() error {
			if err := s.ReadsNow(peer, meshlab.Others(peer)...); err != nil {
				s.Fatal(err)
			}
			if s.Token(peer, "eu") == before[pair{peer, "eu"}] {
				return same(s, "eu")
			}
			return nil
		})
	}
	for _, peer := range peers {
		ended(s, "eu", before[pair{peer, "eu"}])
		require.NoError(t, reads(t.Context(), "eu", s.Token(peer, "eu")))
		s.Synced(peer, meshlab.Others(peer)...)
	}
	for _, p := range pairs() {
		if p.to != "eu" {
			require.Equal(t, before[p], s.Token(p.from, p.to), "time went by in eu only")
		}
	}

	// For the agent itself no time has gone by: its clock is behind now.
	giveBack()
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	settled := s.Token("ap", "eu")
	require.NoError(t, reads(t.Context(), "eu", settled))
	load.Answers(20, meshlab.Names...)
	s.Synced("ap", "eu", "us")
	require.Equal(t, settled, s.Token("ap", "eu"), "there is not one token after the other")
	load.NoneFailed(begin)
}
