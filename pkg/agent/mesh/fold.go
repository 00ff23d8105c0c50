package mesh

import (
	"slices"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// fold makes one of what all istiods say. Proxies are connected to any of them, so the
// least counts. It fails when none answers.
func (t *istiodTask) fold(object *meshv1alpha1.MeshMember, hashes map[string]string, began time.Time, all []heard, next *istiodSeen) error {
	var spoken []heard
	var silent error
	for i := range all {
		if all[i].err == nil {
			spoken = append(spoken, all[i])
		} else if silent == nil || all[i].err.Error() < silent.Error() {
			silent = all[i].err
		}
	}
	if len(spoken) == 0 {
		return silent
	}
	quiet := len(all) - len(spoken)
	if quiet > 0 {
		next.answers = troubled("SomeSilent", "%d of %d istiods of cluster %s do not answer: %v", quiet, len(all), t.worker.agent.Cluster, silent)
	}
	next.istiod = &meshv1alpha1.MemberIstiod{Version: oldest(spoken), ClusterID: otherID(spoken, object.Spec.ClusterID)}
	next.ca, next.signs = t.foldCA(&object.Spec.CA, spoken, quiet)
	next.proofs = map[string]peerProofs{}
	looks := t.walk.take(object, spoken)
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		settled := t.settled(object, peer.Name, hashes[peer.Name], began)
		if peer.SecretHash == "" && hashes[peer.Name] == "" {
			if v := letGo(peer.Name, spoken, quiet, next.answers); !v.Passed {
				next.proofs[peer.Name] = peerProofs{wanted: peer.Gateways, synced: &v}
			}
			continue // it is not to be known
		}
		shown := slices.ContainsFunc(spoken, func(h heard) bool {
			return slices.ContainsFunc(h.clusters, func(c istiod.Cluster) bool { return c.ID == peer.Name && c.SecretName != "" })
		})
		if !shown && hashes[peer.Name] == "" {
			continue // it is not to be known yet
		}
		var synced, gateways []proof.Verdict
		for _, h := range spoken {
			synced = append(synced, proof.Synced(h.clusters, peer.Name, remotesecret.Name(peer.Name), settled))
			gateways = append(gateways, proof.Gateways(h.gateways, peer.Name, peer.Network, peer.Gateways))
		}
		if quiet > 0 {
			synced = append(synced, proof.Verdict{Reason: next.answers.reason, Message: next.answers.message})
		}
		s, g := proof.First(synced), proof.First(gateways)
		next.proofs[peer.Name] = peerProofs{hash: hashes[peer.Name], wanted: peer.Gateways, synced: &s, gateways: &g, endpoints: looks.verdict(peer.Name)}
	}
	t.know(looks)
	return nil
}

// letGo says whether no istiod of the cluster reads a peer.
func letGo(peer string, spoken []heard, quiet int, silence trouble) proof.Verdict {
	var verdicts []proof.Verdict
	for _, h := range spoken {
		verdicts = append(verdicts, proof.LetGo(h.clusters, peer, remotesecret.Name(peer)))
	}
	if quiet > 0 {
		verdicts = append(verdicts, proof.Verdict{Reason: silence.reason, Message: silence.message})
	}
	return proof.First(verdicts)
}

// oldest is the version of which something is to be said, or else that of the first.
func oldest(spoken []heard) string {
	for _, h := range spoken {
		if remotesecret.CheckVersion(h.version) != "" {
			return h.version
		}
	}
	for _, h := range spoken {
		if h.version != "" {
			return h.version
		}
	}
	return ""
}

// otherID is a cluster ID that is not the wanted one, if an istiod has such.
func otherID(spoken []heard, wanted string) string {
	for _, h := range spoken {
		if id := proof.OwnCluster(h.clusters); id != wanted {
			return id
		}
	}
	return wanted
}

// foldCA is the CA that all istiods have in effect. When they differ it is one that is not
// the wanted one: a step of a change of the root is not in effect before all have it.
func (t *istiodTask) foldCA(wanted *meshv1alpha1.MemberCA, spoken []heard, quiet int) (*meshv1alpha1.MemberCAStatus, trouble) {
	var ca *meshv1alpha1.MemberCAStatus
	differ := 0
	for _, h := range spoken {
		switch {
		case h.signs != (trouble{}):
			return nil, h.signs
		case ca == nil:
			ca = h.effect
		case !equalCA(ca, h.effect):
			differ++
			if wantedCA(wanted, ca) {
				ca = h.effect
			}
		}
	}
	switch {
	case quiet > 0:
		return nil, troubled("SomeSilent", "%d istiods of cluster %s do not answer, so it is not known which CA they have in effect", quiet, t.worker.agent.Cluster)
	case differ > 0:
		return ca, troubled("Differ", "the %d istiods of cluster %s do not have the same CA in effect; a kubelet needs up to two minutes for a changed Secret cacerts. If it stays so, restart those that are behind", len(spoken), t.worker.agent.Cluster)
	}
	return ca, trouble{}
}

func equalCA(a, b *meshv1alpha1.MemberCAStatus) bool {
	return slices.Equal(a.Roots, b.Roots) && a.Signer == b.Signer && a.Intermediate == b.Intermediate
}

// know keeps server names for probes.
func (t *istiodTask) know(looks looks) {
	known := map[string][]string{}
	for peer, l := range looks {
		for _, port := range l.telling {
			known[peer] = append(known[peer], istiod.SNI(port.host, port.port))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = known
}
