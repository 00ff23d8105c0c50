package mesh

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
)

// equal says whether two statuses say the same.
func equal(a, b *meshv1alpha1.MeshMemberStatus) bool { return equality.Semantic.DeepEqual(a, b) }

// messagesEvery is how often a status is written in which only messages differ.
const messagesEvery = time.Minute

// silenced is a status without messages, and without since when things are so.
func silenced(s *meshv1alpha1.MeshMemberStatus) *meshv1alpha1.MeshMemberStatus {
	out := s.DeepCopy()
	for i := range out.Conditions {
		out.Conditions[i].Message, out.Conditions[i].LastTransitionTime = "", metav1.Time{}
	}
	if out.Gateway != nil {
		out.Gateway.Message = ""
	}
	for i := range out.Peers {
		for j := range out.Peers[i].Proofs {
			out.Peers[i].Proofs[j].Message, out.Peers[i].Proofs[j].Since = "", nil
		}
	}
	return out
}

// report is the status that follows from what was seen. What no task has looked at since
// this agent was started stays as it was reported.
func report(object *meshv1alpha1.MeshMember, s seen, cluster string, now time.Time) meshv1alpha1.MeshMemberStatus {
	status := *object.Status.DeepCopy()
	r := &reporter{status: &status, generation: object.Generation, now: now}
	// A federation that was restored from a backup has not seen later ones yet.
	if generation, ok := s.generation(); ok && generation <= object.Generation {
		status.ObservedGeneration = max(status.ObservedGeneration, generation)
	}
	if s.cluster != nil {
		status.Network, status.CACerts, status.Gateway = s.cluster.network, s.cluster.cacerts, s.cluster.gateway
		if s.cluster.looked {
			r.condition(meshv1alpha1.ConditionNetworkLabelled, s.cluster.labelled)
		}
		r.condition(meshv1alpha1.ConditionObserved, s.cluster.read)
	}
	if s.nodes != nil {
		status.Regions = s.nodes.regions
		r.condition(meshv1alpha1.ConditionNodesLocated, s.nodes.located)
	}
	if s.token != nil {
		status.Token = s.token.token
		r.condition(meshv1alpha1.ConditionTokenDelivered, s.token.made)
	}
	if s.istiod != nil {
		status.Istiod, status.CA = s.istiod.istiod, s.istiod.ca
		r.condition(meshv1alpha1.ConditionIstiodAnswers, s.istiod.answers)
		r.condition(meshv1alpha1.ConditionCASigns, s.istiod.signs)
	}
	if object.Spec.Leaving {
		r.leave(object, s, cluster)
		return status
	}
	meta.RemoveStatusCondition(&status.Conditions, meshv1alpha1.ConditionLeft)
	r.peers(object, s)
	return status
}

// generation is what all tasks have looked at; false while one has not.
func (s *seen) generation() (int64, bool) {
	if s.cluster == nil || s.token == nil || s.istiod == nil || s.probes == nil || s.nodes == nil {
		return 0, false
	}
	return min(s.cluster.generation, s.token.generation, s.istiod.generation, s.probes.generation, s.nodes.generation), true
}

type reporter struct {
	status     *meshv1alpha1.MeshMemberStatus
	generation int64
	now        time.Time
}

// condition is True when there is no trouble.
func (r *reporter) condition(kind string, t trouble) {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "AsWanted", ObservedGeneration: r.generation, LastTransitionTime: metav1.NewTime(r.now)}
	if t != (trouble{}) {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, t.reason, t.message
	}
	r.set(c)
}

func (r *reporter) set(c metav1.Condition) {
	if was := meta.FindStatusCondition(r.status.Conditions, c.Type); was != nil && was.Status == c.Status {
		c.LastTransitionTime = was.LastTransitionTime
	}
	meta.SetStatusCondition(&r.status.Conditions, c)
}

// leave says what of the mesh is still in the cluster.
func (r *reporter) leave(object *meshv1alpha1.MeshMember, s seen, cluster string) {
	current := func(generation int64, left bool) bool { return generation == object.Generation && left }
	var there []string
	if s.cluster == nil || !current(s.cluster.generation, s.cluster.left) {
		there = append(there, "the label of the network on namespace "+meshv1alpha1.IstioNamespace)
	}
	if s.nodes == nil || !current(s.nodes.generation, s.nodes.left) {
		there = append(there, "localities of nodes")
	}
	if s.token == nil || !current(s.token.generation, s.token.left) {
		there = append(there, "tokens of the reader")
	}
	held := ""
	if s.cluster != nil && len(s.cluster.brought) > 0 {
		there = append(there, "what was brought by Works "+strings.Join(s.cluster.brought, ", "))
		if s.cluster.held {
			held = ". Its agent holds deletions until a person confirms them: the condition DeletionsHeld of Cluster " + cluster + " says how"
		}
	}
	r.status.Peers, r.status.Istiod, r.status.CA = nil, nil, nil
	for _, kind := range []string{meshv1alpha1.ConditionIstiodAnswers, meshv1alpha1.ConditionCASigns} {
		meta.RemoveStatusCondition(&r.status.Conditions, kind)
	}
	c := metav1.Condition{
		Type: meshv1alpha1.ConditionLeft, Status: metav1.ConditionTrue, Reason: "TakenBack",
		ObservedGeneration: r.generation, LastTransitionTime: metav1.NewTime(r.now),
	}
	if len(there) > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, "StillThere"
		if held != "" {
			c.Reason = names.ConditionDeletionsHeld
		}
		c.Message = "cluster " + cluster + " still has " + strings.Join(there, ", ") + "; the other conditions say why" + held
	} else {
		// Nobody looks any more while the cluster waits to be forgotten.
		r.status.Gateway = nil
	}
	r.set(c)
}

// peers reports about each peer that is wanted, and about remote secrets for others.
func (r *reporter) peers(object *meshv1alpha1.MeshMember, s seen) {
	before := r.status.Peers
	r.status.Peers = nil
	var foreign []string
	for i := range object.Spec.Peers {
		wanted := &object.Spec.Peers[i]
		peer := meshv1alpha1.MemberPeerStatus{Name: wanted.Name}
		was := find(before, wanted.Name)
		if s.cluster != nil {
			seen := s.cluster.remotes[wanted.Name]
			peer.SecretHash = seen.hash
			if seen.foreign != "" {
				foreign = append(foreign, seen.foreign+" for cluster "+wanted.Name)
			}
		} else {
			peer.SecretHash = was.SecretHash
		}
		before := was.Proofs
		went := was.SecretHash != "" && peer.SecretHash == ""
		if went {
			// How long istiod takes to let go of the peer is counted from now.
			before = slices.DeleteFunc(slices.Clone(before), func(p meshv1alpha1.Proof) bool { return p.Step == meshv1alpha1.StepSynced })
		}
		peer.Proofs = r.proofs(before, probes(s, wanted, was), istiodProofs(s, wanted, was, went))
		r.status.Peers = append(r.status.Peers, peer)
	}
	if s.cluster == nil {
		return
	}
	var others []string
	for name, remote := range s.cluster.remotes {
		if remote.hash != "" && find(r.status.Peers, name).Name == "" {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		r.status.Peers = append(r.status.Peers, meshv1alpha1.MemberPeerStatus{Name: name, SecretHash: s.cluster.remotes[name].hash})
	}
	if !s.cluster.listed {
		return // the status does not tell which are foreign
	}
	var t trouble
	if len(foreign) > 0 {
		t = troubled("ForeignSecret", "there are remote secrets in %s that Mesh %s has not made: %s. istiod takes the one that it saw first; delete them", meshv1alpha1.IstioNamespace, object.Name, strings.Join(foreign, ", "))
	}
	r.condition(meshv1alpha1.ConditionRemoteSecretsOwn, t)
}

func find(peers []meshv1alpha1.MemberPeerStatus, name string) meshv1alpha1.MemberPeerStatus {
	for i := range peers {
		if peers[i].Name == name {
			return peers[i]
		}
	}
	return meshv1alpha1.MemberPeerStatus{}
}

// found is a proof as it is now; keep is one that was not tried and stays.
type found struct {
	step    meshv1alpha1.LinkStep
	verdict *proof.Verdict
	keep    *meshv1alpha1.Proof
}

// proofs puts proofs together with since when they are so.
func (r *reporter) proofs(before []meshv1alpha1.Proof, parts ...[]found) []meshv1alpha1.Proof {
	var proofs []meshv1alpha1.Proof
	for _, f := range slices.Concat(parts...) {
		switch {
		case f.keep != nil:
			proofs = append(proofs, *f.keep)
		case f.verdict != nil:
			p := meshv1alpha1.Proof{Step: f.step, Passed: f.verdict.Passed, Reason: f.verdict.Reason, Message: steady(f.verdict.Message), Since: &metav1.Time{Time: r.now.Truncate(time.Second)}}
			if was := proofOf(before, f.step); was != nil && was.Passed == p.Passed && was.Since != nil {
				p.Since = was.Since
			}
			proofs = append(proofs, p)
		}
	}
	return proofs
}

func proofOf(proofs []meshv1alpha1.Proof, step meshv1alpha1.LinkStep) *meshv1alpha1.Proof {
	for i := range proofs {
		if proofs[i].Step == step {
			return &proofs[i]
		}
	}
	return nil
}

// probes is the probe of a peer; of the gateways that are wanted now, or none.
func probes(s seen, wanted *meshv1alpha1.MemberPeer, was meshv1alpha1.MemberPeerStatus) []found {
	if s.probes == nil {
		return []found{{step: meshv1alpha1.StepProbe, keep: proofOf(was.Proofs, meshv1alpha1.StepProbe)}}
	}
	p, ok := s.probes.peers[wanted.Name]
	if !ok && s.probes.untried && len(wanted.Gateways) > 0 {
		return []found{{step: meshv1alpha1.StepProbe, keep: proofOf(was.Proofs, meshv1alpha1.StepProbe)}}
	}
	if !ok || !slices.Equal(p.gateways, wanted.Gateways) {
		return nil
	}
	return []found{{step: meshv1alpha1.StepProbe, verdict: verdictOf(p.result)}}
}

func verdictOf(r probe.Result) *proof.Verdict {
	return &proof.Verdict{Passed: r.Passed, Reason: r.Reason, Message: r.Message}
}

// istiodProofs are what istiod says about a peer.
// Each counts only for the remote secret and the gateways that it was about; went says that
// the remote secret has just gone.
func istiodProofs(s seen, wanted *meshv1alpha1.MemberPeer, was meshv1alpha1.MemberPeerStatus, went bool) []found {
	steps := []meshv1alpha1.LinkStep{meshv1alpha1.StepSynced, meshv1alpha1.StepGatewayKnown, meshv1alpha1.StepEndpoints}
	var all []found
	if s.istiod == nil && went {
		changed := proof.Changed()
		return []found{{step: meshv1alpha1.StepSynced, verdict: &changed}} // not before istiod was asked
	}
	if s.istiod == nil {
		for _, step := range steps {
			all = append(all, found{step: step, keep: proofOf(was.Proofs, step)})
		}
		return all
	}
	p := s.istiod.proofs[wanted.Name]
	if p.synced != nil && s.cluster != nil && p.hash != s.cluster.remotes[wanted.Name].hash {
		changed := proof.Changed()
		p.synced = &changed
	}
	if !slices.Equal(p.wanted, wanted.Gateways) {
		p.gateways, p.endpoints = nil, nil
	}
	for i, verdict := range []*proof.Verdict{p.synced, p.gateways, p.endpoints} {
		all = append(all, found{step: steps[i], verdict: verdict})
	}
	return all
}
