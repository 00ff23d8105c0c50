package link

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// HasSecret is why a cluster has not let go that has not lost the remote secret.
const HasSecret = "it still has the remote secret"

// Holding is a cluster that has not let go of another.
type Holding struct {
	// Cluster is its name.
	Cluster string
	// Why says what there still is; empty when that is not known.
	Why string
	// Until is when it is not waited for any more; zero when it always is.
	Until time.Time
}

// LetGo says whether From neither has the remote secret for To nor an istiod that reads
// To, and if not, why. An agent reports step Synced of a peer without a remote secret only
// while istiod still shows it or does not answer. That is waited for hold from when the
// secret went: an istiod that is down must not keep a cluster for ever.
func LetGo(p *Pair, hold time.Duration, now time.Time) (bool, Holding) {
	seen := p.seen()
	if seen == nil {
		return true, Holding{}
	}
	if seen.SecretHash != "" {
		return false, Holding{Cluster: p.From.Name, Why: HasSecret}
	}
	proof := p.proof(meshv1alpha1.StepSynced)
	if proof == nil {
		return true, Holding{}
	}
	end := since(proof).Add(hold)
	why := orElse(proof.Message, "istiod still reads it")
	if !now.Before(end) {
		return true, Holding{Cluster: p.From.Name, Why: why}
	}
	return false, Holding{Cluster: p.From.Name, Why: why, Until: end}
}

// CanClean says whether everything of the mesh may be removed from a cluster that leaves:
// when nobody of its peers reads it. If not, it says who does. A peer that is lost for
// longer than hold does not count: its token ends with the reader.
func CanClean(leaving string, peers []*Cluster, hold time.Duration, now time.Time) (clean bool, reading []Holding) {
	for _, peer := range peers {
		if peer.Name == leaving || (peer.Lost != nil && now.Sub(*peer.Lost) >= hold) {
			continue
		}
		if gone, holding := LetGo(&Pair{From: peer, To: &Cluster{Name: leaving}}, hold, now); !gone {
			reading = append(reading, holding)
		}
	}
	slices.SortFunc(reading, func(a, b Holding) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return len(reading) == 0, reading
}

// String says who holds on, and why.
func (h Holding) String() string {
	text := "cluster " + h.Cluster
	switch {
	case h.Why == "":
		return text
	case h.Until.IsZero():
		return fmt.Sprintf("%s (%s)", text, h.Why)
	default:
		return fmt.Sprintf("%s (%s; not waited for after %s)", text, h.Why, h.Until.UTC().Format(time.RFC3339))
	}
}
