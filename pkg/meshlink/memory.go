package meshlink

import (
	"slices"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// tokens are those that were read, in memory only.
type tokens struct {
	known map[string]knownToken // by namespace and name of the MeshMember
}

// knownToken is a token, and the report of its agent that it goes with: after a change
// of the MeshMember the same token may come with another URL.
type knownToken struct {
	mesh       string
	generation int64
	token      *remotesecret.Token
	// since is when the token was first seen.
	since time.Time
}

// A token is handed out to all peers, so there are not too many: one in tokenPause, or
// an eighth of the life that a token has if that is shorter. It does not hold for one
// that was asked for.
const tokenPause = time.Minute

// get is a token that need not be read again, and when it is to be looked again for
// the one that the MeshMember names, if that is another; zero if not.
func (t *tokens) get(member *meshv1alpha1.MeshMember, now time.Time) (token *remotesecret.Token, again time.Time) {
	known, ok := t.known[nameOf(member)]
	switch reader := member.Spec.Reader; {
	case !ok:
		return nil, time.Time{}
	case known.token.Hash() == member.Status.Token.Hash:
		if known.generation != member.Status.ObservedGeneration {
			return nil, time.Time{}
		}
		return known.token, time.Time{}
	case reader != nil && reader.RenewAfter != nil && !known.since.After(reader.RenewAfter.Time):
		return nil, time.Time{}
	case reader != nil && now.Sub(known.since) < min(tokenPause, reader.TokenTTL.Duration/8):
		return known.token, known.since.Add(min(tokenPause, reader.TokenTTL.Duration/8))
	default:
		return nil, time.Time{}
	}
}

func (t *tokens) put(member *meshv1alpha1.MeshMember, token *remotesecret.Token, now time.Time) {
	if t.known == nil {
		t.known = map[string]knownToken{}
	}
	since := now
	if known, ok := t.known[nameOf(member)]; ok && known.token.Hash() == token.Hash() {
		since = known.since
	}
	t.known[nameOf(member)] = knownToken{mesh: member.Name, generation: member.Status.ObservedGeneration, token: token, since: since}
}

// keep drops the tokens of a Mesh that are of none of these members.
func (t *tokens) keep(mesh string, members []*meshv1alpha1.MeshMember) {
	for key, known := range t.known {
		if known.mesh == mesh && !slices.ContainsFunc(members, func(m *meshv1alpha1.MeshMember) bool { return nameOf(m) == key }) {
			delete(t.known, key)
		}
	}
}

// held are the pairs that links by placement asked for, and when they did so last. A
// link is not taken down for a workload that comes back soon.
type held struct {
	asked map[string]map[link.Ordered]time.Time // by Mesh
}

// update takes in where workloads are, and gives the pairs that were asked for a while
// ago, and until when the first of them is held. After a restart that begins anew for
// those that are in the status.
func (h *held) update(mesh *meshv1alpha1.Mesh, placed []link.Placed, now time.Time) (pairs []link.Ordered, until time.Time) {
	if h.asked == nil {
		h.asked = map[string]map[link.Ordered]time.Time{}
	}
	asked, hold := h.asked[mesh.Name], meshv1alpha1.DefaultWithdrawAfter
	if asked == nil {
		asked = map[link.Ordered]time.Time{}
		h.asked[mesh.Name] = asked
	}
	if mesh.Spec.WithdrawAfter != nil {
		hold = mesh.Spec.WithdrawAfter.Duration
	}
	listed := map[link.Ordered]bool{}
	for i := range mesh.Status.Links {
		pair := link.Ordered{From: mesh.Status.Links[i].From, To: mesh.Status.Links[i].To}
		listed[pair] = true
		if _, known := asked[pair]; !known {
			asked[pair] = now
		}
	}
	var clusters []string
	for _, p := range placed {
		clusters = append(clusters, p.Clusters...)
	}
	for _, pair := range link.ByPlacement(clusters, placed) {
		asked[pair] = now
	}
	for pair, last := range asked {
		end := last.Add(hold)
		switch {
		case now.Before(end):
			pairs = append(pairs, pair)
			if last.Before(now) && (until.IsZero() || end.Before(until)) {
				until = end
			}
		case !listed[pair]:
			delete(asked, pair) // one that is listed would be taken for a new one
		}
	}
	slices.SortFunc(pairs, link.Compare)
	return pairs, until
}

func (h *held) forget(mesh string) { delete(h.asked, mesh) }
