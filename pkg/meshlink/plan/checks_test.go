package plan_test

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// checkWrite is what has to hold before a write is made.
func (w *world) checkWrite(write plan.Write) {
	if member, ok := write.Object.(*meshv1alpha1.MeshMember); ok && write.Verb == plan.Update {
		was := write.Was.(*meshv1alpha1.MeshMember)
		w.checkNetwork(member, was)
		w.checkAsked(member, was)
		if member.Spec.Leaving && !was.Spec.Leaving {
			w.checkKeeping(member)
		}
	}
	work, ok := write.Object.(*workv1alpha1.Work)
	if !ok {
		return
	}
	cluster, _ := names.ClusterOf(work.Namespace)
	switch part := work.Name[len(plan.WorkName("mesh1", "")):]; {
	case part == plan.PartCA && write.Verb != plan.Delete:
		w.checkCA(cluster, work)
	case part == plan.PartCA:
		if w.selected(cluster) && !w.ourMeshGoes() {
			w.fail("the CA of %s is taken away", cluster)
		}
	case part == plan.PartGateway || part == plan.PartReader:
		if write.Verb == plan.Delete {
			w.checkCleaning(cluster, part)
		}
	case len(part) > 5 && part[:5] == "peer." && write.Verb == plan.Create:
		w.checkLink(cluster, part[5:])
	case len(part) > 5 && part[:5] == "peer." && write.Verb == plan.Delete:
		w.checkWithdrawal(cluster, part[5:])
	}
}

// checkWithdrawal: nothing is taken from a cluster that would not hear of it, if both
// are to be linked.
func (w *world) checkWithdrawal(from, to string) {
	if w.silent(from) && w.selected(from) && w.selected(to) && w.member(to, "mesh1") != nil && w.meshes["mesh1"].Spec.Links == meshv1alpha1.LinksAll {
		w.fail("%s>%s: withdrawn while nothing is heard of %s", from, to, from)
	}
}

// silent says whether the cluster controller has found that nothing is heard.
func (w *world) silent(name string) bool {
	ready := meta.FindStatusCondition(w.fleet[name].Status.Conditions, clusterv1alpha1.ClusterConditionReady)
	return ready.Status == metav1.ConditionUnknown
}

// checkNetwork: a cluster changes its network when nobody reads it.
func (w *world) checkNetwork(member, was *meshv1alpha1.MeshMember) {
	if member.Spec.Network != was.Spec.Network {
		cluster, _ := names.ClusterOf(member.Namespace)
		w.checkCleaning(cluster, "")
	}
}

func (w *world) ourMeshGoes() bool { return w.meshes["mesh1"].DeletionTimestamp != nil }

// checkCA: what a cluster is given follows from what is stored, and is not written
// over somebody else's.
func (w *world) checkCA(cluster string, work *workv1alpha1.Work) {
	secret := w.secret(names.SystemNamespace, meshv1alpha1.TrustSecretName("mesh1"))
	if secret == nil {
		w.fail("%s gets a CA before the roots are stored", cluster)
		return
	}
	store, err := trust.DecodeStore(secret.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	signer, roots := caOf(w.t, work, w.now)
	want := store.State.Want()
	if !slices.Equal(roots, want.Roots) || signer.Root != want.Signer {
		w.fail("%s gets roots %v and signer %s; stored is %s: %v", cluster, roots, signer.Root, store.State.Stage, want)
	}
	if w.foreign[cluster] && w.work(cluster, work.Name) == nil {
		w.fail("a CA is written into %s over somebody else's", cluster)
	}
}

// checkLink: a remote secret comes when both are as they are to be.
func (w *world) checkLink(from, to string) {
	spec := &w.meshes["mesh1"].Spec
	a, b := w.members[from], w.members[to]
	switch {
	case a.Network() != spec.Network(from) || b.Network() != spec.Network(to):
		w.fail("%s>%s: linked before the networks are labelled", from, to)
	case !a.Trusts(b):
		w.fail("%s>%s: linked before they trust each other", from, to)
	case spec.Network(from) != spec.Network(to) && b.GatewayLabel() != spec.Network(to):
		w.fail("%s>%s: linked before there is a gateway", from, to)
	case !w.selected(from) || !w.selected(to):
		w.fail("%s>%s: linked, and one is not in the mesh", from, to)
	}
}

// checkCleaning: nothing is cleaned in a cluster that somebody reads; a gateway goes
// also when nobody in another network does.
func (w *world) checkCleaning(cluster, part string) {
	spec := &w.meshes["mesh1"].Spec
	for name, peer := range w.members {
		hold := w.meshes["mesh1"].Spec.WithdrawAfter.Duration
		if w.fleet[name] == nil || w.fleet[name].DeletionTimestamp != nil || w.lostFor(name) >= hold {
			continue
		}
		if part == plan.PartGateway && w.selected(cluster) && spec.Network(name) == spec.Network(cluster) {
			continue
		}
		if peer.Has("Secret", meshv1alpha1.IstioNamespace, remotesecret.Name(cluster)) {
			w.fail("%s is cleaned while %s has its remote secret", cluster, name)
		}
		if reads, _ := peer.Reads(w.members[cluster], w.now); reads && !w.waitedFor(name, cluster, hold) {
			w.fail("%s is cleaned while istiod of %s reads it", cluster, name)
		}
	}
}

// waitedFor says whether istiod of a cluster was waited for long enough to let go of a
// peer, from when the remote secret was seen to be gone.
func (w *world) waitedFor(name, peer string, hold time.Duration) bool {
	member := w.member(name, "mesh1")
	if member == nil || member.Spec.Leaving || !asked(member, peer) {
		return true // that was decided when it was asked to leave, or not asked about the peer any more
	}
	for _, p := range member.Status.Peers {
		for _, proof := range p.Proofs {
			if p.Name == peer && p.SecretHash == "" && proof.Step == meshv1alpha1.StepSynced {
				return w.now.Sub(proof.Since.Time) >= hold
			}
		}
	}
	return false
}

func asked(member *meshv1alpha1.MeshMember, peer string) bool {
	return slices.ContainsFunc(member.Spec.Peers, func(p meshv1alpha1.MemberPeer) bool { return p.Name == peer })
}

// checkAsked: a cluster is asked about a peer for as long as it reads it.
func (w *world) checkAsked(member, was *meshv1alpha1.MeshMember) {
	cluster, _ := names.ClusterOf(member.Namespace)
	hold := w.meshes["mesh1"].Spec.WithdrawAfter.Duration
	for _, p := range was.Spec.Peers {
		gone := w.fleet[p.Name] == nil || w.fleet[p.Name].DeletionTimestamp != nil || w.member(p.Name, "mesh1") == nil
		if reads, _ := w.members[cluster].Reads(w.members[p.Name], w.now); reads && !gone && !asked(member, p.Name) &&
			w.lostFor(cluster) < hold && !w.waitedFor(cluster, p.Name, hold) {
			w.fail("%s is no longer asked about %s, which its istiod reads", cluster, p.Name)
		}
	}
}

// checkKeeping: a cluster is asked to leave when its own istiod reads nobody, for it is not
// asked about that afterwards.
func (w *world) checkKeeping(member *meshv1alpha1.MeshMember) {
	cluster, _ := names.ClusterOf(member.Namespace)
	hold := w.meshes["mesh1"].Spec.WithdrawAfter.Duration
	for name, peer := range w.members {
		// Another one that came under its name is not in the mesh yet.
		gone := w.fleet[name] == nil || w.fleet[name].DeletionTimestamp != nil || w.member(name, "mesh1") == nil
		if reads, _ := w.members[cluster].Reads(peer, w.now); reads && !gone && w.lostFor(cluster) < hold && !w.waitedFor(cluster, name, hold) {
			w.fail("%s is asked to leave while its istiod reads %s", cluster, name)
		}
	}
}

// check is what has to hold at any time.
func (w *world) check() {
	for from, a := range w.members {
		for to, b := range w.members {
			if from == to || w.foreign[from] || w.foreign[to] || !w.selected(from) || !w.selected(to) {
				continue
			}
			if w.member(from, "mesh1") == nil || w.member(to, "mesh1") == nil {
				continue // another cluster came under its name, and is not in the mesh yet
			}
			has, works := a.Reads(b, w.now)
			if !has || w.work(from, plan.WorkName("mesh1", plan.PartPeer(to))) == nil {
				continue
			}
			if !works && !a.Expired(b, w.now) {
				w.fail("the token with which %s reads %s was ended", from, to)
			}
			if !a.Trusts(b) {
				w.fail("%s and %s are linked and do not trust each other", from, to)
			}
		}
	}
}

// checkFormer: what one knows that was unjoined is worth nothing.
func (w *world) checkFormer() {
	for range 5 {
		w.everybody()
		w.obey()
		w.now = w.now.Add(time.Minute)
	}
	for _, was := range w.former {
		for name, peer := range was.peers {
			if _, works := was.Reads(peer, w.now); works && w.members[name] == peer {
				w.fail("%s was unjoined, and what it knows of %s goes on", was.Name, name)
			}
		}
	}
}
