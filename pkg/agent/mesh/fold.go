package mesh

import (
	"fmt"
	"slices"
	"strings"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// fold makes one of what all istiods say. Proxies are connected to any of them, so the
// least counts. It fails when none answers.
func (t *istiodTask) fold(object *meshv1alpha1.MeshMember, hashes map[string]string, began time.Time, all []heard, next *istiodSeen) error {
	slices.SortFunc(all, func(a, b heard) int { return strings.Compare(a.who, b.who) })
	var spoken, silent []heard
	for i := range all {
		if all[i].err == nil {
			spoken = append(spoken, all[i])
		} else {
			silent = append(silent, all[i])
		}
	}
	if len(spoken) == 0 {
		return silent[0].err
	}
	if len(silent) > 0 {
		next.answers = troubled("SomeSilent", "%d of %d istiods of cluster %s do not answer: %s: %v; look whether it runs", len(silent), len(all), t.worker.agent.Cluster, whoAre(silent), silent[0].err)
	}
	next.istiod = &meshv1alpha1.MemberIstiod{Version: oldest(spoken), ClusterID: otherID(spoken, object.Spec.ClusterID)}
	next.ca, next.signs = t.foldCA(&object.Spec.CA, spoken, silent)
	next.proofs = map[string]peerProofs{}
	looks := t.walk.take(object, spoken)
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		settled := t.settled(object, peer.Name, hashes[peer.Name], began)
		if peer.SecretHash == "" && hashes[peer.Name] == "" {
			if v := letGo(peer.Name, spoken, len(silent), next.answers); !v.Passed {
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
			synced = append(synced, of(h, len(all), proof.Synced(h.clusters, peer.Name, remotesecret.Name(peer.Name), settled)))
			gateways = append(gateways, of(h, len(all), proof.Gateways(h.gateways, peer.Name, peer.Network, peer.Gateways)))
		}
		if len(silent) > 0 {
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

// of says whose verdict it is that something is missing, when there are several.
func of(h heard, count int, v proof.Verdict) proof.Verdict {
	if count > 1 && !v.Passed {
		v.Message = h.who + ": " + v.Message
	}
	return v
}

// maxNames is how many istiods are named.
const maxNames = 5

func whoAre(all []heard) string {
	var list []string
	for _, h := range all[:min(len(all), maxNames)] {
		list = append(list, h.who)
	}
	if more := len(all) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, ", ")
}

// foldCA is the CA that all istiods have in effect. When they differ it is one that is not
// the wanted one: a step of a change of the root is not in effect before all have it.
func (t *istiodTask) foldCA(wanted *meshv1alpha1.MemberCA, spoken, silent []heard) (*meshv1alpha1.MemberCAStatus, trouble) {
	var ca *meshv1alpha1.MemberCAStatus
	var behind []heard
	differ := false
	for _, h := range spoken {
		if h.signs != (trouble{}) {
			if len(spoken) > 1 {
				h.signs.message = h.who + ": " + h.signs.message
			}
			return nil, h.signs
		}
		if !wantedCA(wanted, h.effect) {
			behind = append(behind, h)
		}
		switch {
		case ca == nil:
			ca = h.effect
		case !equalCA(ca, h.effect):
			differ = true
			if wantedCA(wanted, ca) {
				ca = h.effect
			}
		}
	}
	switch {
	case len(silent) > 0:
		return nil, troubled("SomeSilent", "%d of %d istiods of cluster %s do not answer, so it is not known which CA they have in effect: %s", len(silent), len(spoken)+len(silent), t.worker.agent.Cluster, whoAre(silent))
	case differ:
		return ca, troubled("Differ", "of %d istiods of cluster %s these do not have the wanted CA in effect, and not all the same: %s; a kubelet needs up to two minutes for a changed Secret cacerts. If it stays so, restart them", len(spoken), t.worker.agent.Cluster, whoAre(behind))
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
