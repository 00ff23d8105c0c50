package plan

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// wantedPairs are the links that the Mesh asks for, and those that are taken back
// because a cluster leaves.
func (r *round) wantedPairs() []link.Ordered {
	var clusters []string
	for _, c := range r.clusters {
		if c.phase != gone {
			clusters = append(clusters, c.name)
		}
	}
	pairs := link.All(clusters)
	if r.mesh.Spec.Links == meshv1alpha1.LinksPlacement {
		pairs = link.ByPlacement(clusters, r.picture.Placed)
		// One that nothing asks for any more is held for a while: workloads come back.
		for _, held := range r.picture.Held {
			if _, found := slices.BinarySearchFunc(pairs, held, link.Compare); !found && r.byName[held.From] != nil && r.byName[held.To] != nil {
				pairs = append(pairs, held)
				slices.SortFunc(pairs, link.Compare)
			}
		}
		if !r.picture.HeldUntil.IsZero() {
			r.atUnlessPast(r.picture.HeldUntil)
		}
	}
	return slices.DeleteFunc(pairs, func(pair link.Ordered) bool {
		from, to := r.byName[pair.From].phase, r.byName[pair.To].phase
		return from == gone || to == gone || from != active && to != active
	})
}

// linkOf sums a cluster up for package link.
func (r *round) linkOf(c *cluster) *link.Cluster {
	sum := &link.Cluster{
		Name: c.name, Network: r.mesh.Spec.Network(c.name),
		Lost: c.lost, Heard: c.heard, Leaving: c.phase == leaving,
		Status: c.status(), CA: c.ca.state, CAMessage: c.ca.message,
		GatewayMessage: failure(c.works[PartGateway]), Addresses: c.addresses,
		GatewayOrigin: gateway.Origin(&r.mesh.Spec.Gateway),
		TokenMessage:  c.token.problem,
	}
	_, sum.IstiodMessage = c.trouble(meshv1alpha1.ConditionIstiodAnswers)
	sum.Silent = c.silent()
	_, sum.NetworkMessage = c.trouble(meshv1alpha1.ConditionNetworkLabelled)
	if c.phase == claimed {
		sum.Claim, sum.ClaimReason = c.claim, c.why
	}
	for _, since := range []time.Time{r.calm, r.picture.Began} {
		if since.After(sum.Heard) {
			sum.Heard = since
		}
	}
	if sum.Status != nil && sum.Status.Istiod != nil {
		sum.VersionMessage = remotesecret.CheckVersion(sum.Status.Istiod.Version)
	}
	if c.token.newest != nil {
		sum.TokenExpires = &c.token.newest.Expires
	}
	return sum
}

// silent is since when an istiod of the cluster does not answer; zero when all do.
func (c *cluster) silent() time.Time {
	status := c.status()
	if status == nil {
		return time.Time{}
	}
	answers := meta.FindStatusCondition(status.Conditions, meshv1alpha1.ConditionIstiodAnswers)
	if answers == nil || answers.Status != metav1.ConditionFalse {
		return time.Time{}
	}
	return answers.LastTransitionTime.Time
}

// evaluate says how all pairs stand.
func (r *round) evaluate(wanted []link.Ordered) {
	ready := map[link.Ordered]bool{}
	for i := range r.mesh.Status.Links {
		l := &r.mesh.Status.Links[i]
		ready[link.Ordered{From: l.From, To: l.To}] = l.Phase == meshv1alpha1.LinkReady
	}
	for _, w := range wanted {
		from, to := r.byName[w.From], r.byName[w.To]
		there := from.works[PartPeer(to.name)]
		to.link.TokenExpires = nil
		switch {
		case to.token.newest != nil:
			to.link.TokenExpires = &to.token.newest.Expires
		case there != nil:
			// It goes on with what it has as long as that lasts.
			to.link.TokenExpires = to.token.expires()
		}
		// Without a MeshMember it is not the cluster that the secret was for: that one
		// was unjoined, and another came under its name.
		written := there != nil && to.member != nil
		p := link.Pair{
			From: from.link, To: to.link, Written: written, SecretHash: to.secretHash(there), SecretMessage: failure(there),
			InUse: to.valid(r.now), Ready: ready[w], Disrupted: r.disrupted,
		}
		result := link.Evaluate(&p, r.hold(), r.now)
		if r.crowded && !written {
			result.Secret = false
		}
		r.withheld(&result)
		if result.Recheck != nil {
			r.at(*result.Recheck)
		}
		r.pairs = append(r.pairs, pair{from: from, to: to, result: result})
	}
}

// valid are the hashes of remote secrets whose token is in use and has not ended.
func (c *cluster) valid(now time.Time) []string {
	var hashes []string
	for _, g := range c.token.inUse.Generations {
		if now.Before(g.Expires) {
			hashes = append(hashes, g.Secret)
		}
	}
	return hashes
}

// secretHash is the hash of the remote secret for a cluster that a peer is to have:
// of the newest, or if that is not known, of the one it has.
func (c *cluster) secretHash(there *workv1alpha1.Work) string {
	if c.token.newest != nil {
		return c.token.newest.Secret
	}
	if secret := secretOf(there); secret != nil {
		return remotesecret.SecretHash(c.name, secret.Data)
	}
	return ""
}

// peerWork is the Work with the remote secret of a pair as it is to be. The manifest is
// the same for all who read a cluster, so it is made once.
func (r *round) peerWork(p *pair) *workv1alpha1.Work {
	if p.to.token.newest == nil {
		return p.from.works[PartPeer(p.to.name)]
	}
	work := &workv1alpha1.Work{ObjectMeta: metadata(r.mesh.Name, p.from.name, WorkName(r.mesh.Name, PartPeer(p.to.name)))}
	work.Spec.Workload.Manifests = []workv1alpha1.Manifest{p.to.token.manifest}
	return work
}

// istiodHolds says whether istiod of a cluster is still waited for to let go of a peer:
// what it shows is reported for peers that are listed.
func (r *round) istiodHolds(c *cluster, peer string) bool {
	from := &link.Cluster{Name: c.name, Status: c.status()}
	gone, holding := link.LetGo(&link.Pair{From: from, To: &link.Cluster{Name: peer}}, r.hold(), r.now)
	if !gone && !holding.Until.IsZero() {
		r.atUnlessPast(holding.Until)
	}
	return !gone
}

// peers are MeshMember.spec.peers of a cluster as they are to be: whom it calls, and
// whom it is to have no remote secret for any more and may still, or istiod may read.
func (r *round) peers(c *cluster) []meshv1alpha1.MemberPeer {
	network := r.mesh.Spec.Network(c.name)
	var peers []meshv1alpha1.MemberPeer
	listed := map[string]bool{}
	for i := range r.pairs {
		p := &r.pairs[i]
		if p.from != c || p.to.phase != active {
			continue
		}
		peer := meshv1alpha1.MemberPeer{Name: p.to.name, Network: r.mesh.Spec.Network(p.to.name)}
		if peer.Network != network {
			peer.Gateways = p.to.addresses
		}
		if p.result.Secret {
			peer.SecretHash = p.to.secretHash(c.works[PartPeer(p.to.name)])
		}
		peers, listed[peer.Name] = append(peers, peer), true
	}
	rest := map[string]bool{}
	for part := range c.works {
		rest[peerOf(part)] = true
	}
	if status := c.status(); status != nil {
		for i := range status.Peers {
			if status.Peers[i].SecretHash != "" {
				rest[status.Peers[i].Name] = true
			}
		}
	}
	if c.member != nil {
		for i := range c.member.Spec.Peers {
			peer := &c.member.Spec.Peers[i]
			other := r.byName[peer.Name]
			if peer.SecretHash != "" || !c.current() || other != nil && other.phase == leaving && !other.clean || r.istiodHolds(c, peer.Name) {
				rest[peer.Name] = true
			}
		}
	}
	for name := range rest {
		if name != "" && !listed[name] {
			peers = append(peers, meshv1alpha1.MemberPeer{Name: name, Network: r.mesh.Spec.Network(name)})
		}
	}
	slices.SortFunc(peers, func(a, b meshv1alpha1.MemberPeer) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return peers
}

// withheld says what is in the way where peers may not read Secrets: what istiod itself
// says of it is that it could not read the peer, whyever.
func (r *round) withheld(result *link.Result) {
	const needs = "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=false"
	switch {
	case r.mesh.Spec.RemoteAccess.Secrets != meshv1alpha1.SecretsNone:
	case result.Step == meshv1alpha1.StepSynced && result.Reason == "Timeout":
		result.Reason = "SecretsWithheld"
		result.Message = "write spec.remoteAccess.secrets: Read, or run istiods that can do without Secrets of peers (later than 1.31.1, with " + needs + "): it is None, and this istiod is never synced without. " + result.Message
	case result.Step == meshv1alpha1.StepMember && result.Reason == "NoIstiod":
		result.Message += "; spec.remoteAccess.secrets is None: with " + needs + " istiod up to 1.31.1 ends with a panic, so write Read and take that setting away"
	}
}
