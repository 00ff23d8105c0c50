package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
)

// departures says how far clusters that leave have come. One may be cleaned when no peer
// reads it, and it reads no peer: nobody hears from it about that afterwards.
func (r *round) departures() {
	for _, c := range r.clusters {
		if c.phase != leaving {
			continue
		}
		c.reading, c.keeping = r.stillReading(c), r.stillKeeping(c)
		c.clean = len(c.reading) == 0 && len(c.keeping) == 0
		switch {
		case !c.clean || c.member == nil:
			c.left = c.clean
		case c.status() != nil:
			c.left = c.member.Spec.Leaving && c.current() && meta.IsStatusConditionTrue(c.member.Status.Conditions, meshv1alpha1.ConditionLeft)
		case c.member.Spec.Leaving && len(c.works) == 0:
			// An agent that knows no Meshes has nothing to take back. One that does
			// would have said so by now.
			said := c.member.CreationTimestamp.Add(r.hold())
			c.left = !r.now.Before(said)
			r.atUnlessPast(said)
		}
	}
}

// stillReading are the clusters that read one, or may.
func (r *round) stillReading(c *cluster) []link.Holding {
	var all []link.Holding
	for _, peer := range r.clusters {
		if peer == c || peer.phase == gone || peer.phase == claimed {
			continue
		}
		if holding, holds := r.holds(peer, c); holds {
			all = append(all, holding)
		}
	}
	return all
}

// stillKeeping are the clusters that one that leaves reads itself, or may. Once it was asked
// to leave that is decided.
func (r *round) stillKeeping(c *cluster) []link.Holding {
	if c.member == nil || c.member.Spec.Leaving {
		return nil
	}
	for _, peer := range r.clusters {
		if peer == c || peer.phase == gone {
			continue
		}
		if holding, holds := r.holds(c, peer); holds {
			return []link.Holding{holding} // one says enough: it is the same istiod
		}
	}
	return nil
}

// holds says whether a cluster reads another, or may without having said so yet.
func (r *round) holds(from, to *cluster) (link.Holding, bool) {
	peers := []*link.Cluster{{Name: from.name, Lost: r.lostSince(from), Status: from.status()}}
	_, reading := link.CanClean(to.name, peers, r.hold(), r.now)
	switch {
	case len(reading) > 0:
		if !reading[0].Until.IsZero() {
			r.atUnlessPast(reading[0].Until)
		}
		return reading[0], true
	case !r.lostFor(from) && from.mayRead(to.name):
		return link.Holding{Cluster: from.name}, true
	default:
		return link.Holding{}, false
	}
}

// mayRead says whether a cluster could have the remote secret for a peer without
// having said so yet.
func (c *cluster) mayRead(peer string) bool {
	if c.works[PartPeer(peer)] != nil {
		return true
	}
	if c.status() == nil {
		return false
	}
	if !c.current() {
		return true
	}
	return slices.ContainsFunc(c.member.Spec.Peers, func(p meshv1alpha1.MemberPeer) bool { return p.Name == peer && p.SecretHash != "" })
}

// leavingWords are why a cluster that leaves has not left: a reason, and what it waits for.
func (r *round) leavingWords(c *cluster) (reason, message string) {
	reason = "Leaving"
	why := cmp.Or(c.claim, fmt.Sprintf("cluster %s is no longer in the mesh", c.name))
	switch {
	case len(c.reading) > 0:
		var who []string
		for _, h := range c.reading {
			h, held := r.withHeld(h)
			if held {
				reason = names.ConditionDeletionsHeld
			}
			who = append(who, h.String())
		}
		return reason, fmt.Sprintf("%s; it waits for peers to let go of it: %s. Look whether agent and istiod there run", why, strings.Join(who, ", "))
	case c.left:
		return reason, why
	case c.lost != nil:
		return reason, fmt.Sprintf("%s and has still to take back what was written into it, but nothing is heard of it; bring it back, or delete Cluster %s", why, c.name)
	case len(c.keeping) > 0:
		h, held := r.withHeld(c.keeping[0])
		if held {
			reason = names.ConditionDeletionsHeld
		}
		return reason, fmt.Sprintf("%s; it waits until it has let go of its peers: %s", why, h)
	}
	left := c.leftCondition()
	if held := c.deletionsHeld(); held != "" && left != nil && left.Reason == names.ConditionDeletionsHeld {
		return left.Reason, fmt.Sprintf("%s, and its agent holds deletions until a person confirms them. %s", why, held)
	}
	if left != nil && left.Message != "" {
		return reason, fmt.Sprintf("%s; its agent takes back what was written into it: %s", why, left.Message)
	}
	return reason, why + "; its agent takes back what was written into it"
}

// withHeld adds what confirms the deletions that an agent holds, if the remote secret can
// be among them: they may be about anything in that cluster.
func (r *round) withHeld(h link.Holding) (link.Holding, bool) {
	words := r.byName[h.Cluster].deletionsHeld()
	if words == "" || h.Why != "" && h.Why != link.HasSecret {
		return h, false
	}
	if h.Why != "" {
		h.Why += ", and "
	}
	h.Why += "its agent holds deletions until a person confirms them. " + words
	return h, true
}

// waitedFor is what one of the clusters waits for that leave, preferably for a person; empty
// when none does.
func (r *round) waitedFor() string {
	var found string
	for _, c := range r.clusters {
		if c.phase != leaving || c.left {
			continue
		}
		reason, message := r.leavingWords(c)
		if found == "" || reason == names.ConditionDeletionsHeld {
			found = ". " + message
		}
		if reason == names.ConditionDeletionsHeld {
			break
		}
	}
	return found
}

// leftCondition is what the agent says of how far it is, about the MeshMember as it is;
// nil while it does not.
func (c *cluster) leftCondition() *metav1.Condition {
	if c.member == nil || !c.member.Spec.Leaving || !c.current() {
		return nil
	}
	return meta.FindStatusCondition(c.member.Status.Conditions, meshv1alpha1.ConditionLeft)
}

// deletionsHeld is what the Cluster says about deletions that wait for a person, with what
// confirms them; empty when none do.
func (c *cluster) deletionsHeld() string {
	if c.object == nil {
		return ""
	}
	held := meta.FindStatusCondition(c.object.Status.Conditions, names.ConditionDeletionsHeld)
	if held == nil || held.Status != metav1.ConditionTrue {
		return ""
	}
	return held.Message
}
