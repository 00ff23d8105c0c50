package meshlinktest

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// Run is one look of the agent: it does what the MeshMember asks for and says what it
// saw. Peer gives other members, nil for one that cannot be reached. The data of the
// reader's Secret is nil when there is none to be.
func (m *Member) Run(member *meshv1alpha1.MeshMember, peer func(name string) *Member, now time.Time) (*meshv1alpha1.MeshMemberStatus, map[string][]byte) {
	spec := &member.Spec
	status := &meshv1alpha1.MeshMemberStatus{ObservedGeneration: member.Generation, Regions: m.Regions}
	if spec.Leaving {
		m.leave()
		status.Conditions = []metav1.Condition{{
			Type: meshv1alpha1.ConditionLeft, Status: metav1.ConditionTrue, Reason: "TakenBack",
			LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)), ObservedGeneration: member.Generation,
		}}
		if m.Held && m.brought() {
			status.Conditions[0].Status, status.Conditions[0].Reason, status.Conditions[0].Message = metav1.ConditionFalse, "DeletionsHeld", "what Works brought is still there"
		}
	} else {
		located := metav1.Condition{Type: meshv1alpha1.ConditionNodesLocated, Status: metav1.ConditionTrue, Reason: "AsWanted", LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))}
		if was := meta.FindStatusCondition(member.Status.Conditions, located.Type); was != nil {
			located.LastTransitionTime = was.LastTransitionTime
		}
		status.Conditions = append(status.Conditions, located)
		if !m.Unlabelled {
			m.network = spec.Network
		}
	}
	m.reportIstiod(status)
	if m.Unlabelled {
		status.Network = spec.Network
	}
	if gateway := spec.Gateway; gateway != nil {
		if addresses, ok := m.gatewayAddresses(gateway.ServiceName, gateway.Port); ok {
			status.Gateway = &meshv1alpha1.MemberGatewayStatus{Addresses: addresses}
			if len(addresses) == 0 {
				status.Gateway.Message = "the Service has no address from a load balancer"
			}
		}
	}
	data := m.rotate(spec.Reader, status, now)
	for i := range spec.Peers {
		status.Peers = append(status.Peers, m.look(&spec.Peers[i], peer(spec.Peers[i].Name), &member.Status, now))
	}
	return status, data
}

// brought says whether there is something in the member that goes with its Work.
func (m *Member) brought() bool {
	for _, o := range m.objects {
		if o.work != "" && !o.keep {
			return true
		}
	}
	return false
}

func (m *Member) leave() {
	m.network, m.outside = "", true
	m.endAll()
}

func (m *Member) reportIstiod(status *meshv1alpha1.MeshMemberStatus) {
	status.Network = m.network
	status.CACerts = &meshv1alpha1.MemberCACerts{}
	if secret := m.secret(trust.CACertsSecret); secret != nil {
		status.CACerts.Exists, status.CACerts.Mesh = true, secret.Labels[meshv1alpha1.MeshLabel]
		if roots, err := trust.FingerprintsOf(secret.Data[trust.RootCertKey]); err == nil {
			for _, root := range roots {
				status.CACerts.Roots = append(status.CACerts.Roots, string(root))
			}
		}
	}
	if m.effect == nil || m.Hung {
		return
	}
	status.Istiod = &meshv1alpha1.MemberIstiod{Version: m.Version, ClusterID: m.ClusterID}
	if !m.Has("ServiceAccount", meshv1alpha1.IstioNamespace, remotesecret.ReaderName) {
		return // without it istiod cannot be asked
	}
	status.CA = &meshv1alpha1.MemberCAStatus{Signer: string(m.effect.Signer), Intermediate: string(m.effect.Intermediate)}
	for _, root := range m.effect.Roots {
		status.CA.Roots = append(status.CA.Roots, string(root))
	}
}

// rotate makes a token when it is time, and ends those that nobody uses.
func (m *Member) rotate(reader *meshv1alpha1.MemberReader, status *meshv1alpha1.MeshMemberStatus, now time.Time) map[string][]byte {
	if reader == nil {
		m.endAll()
	}
	if reader == nil || !m.Has("ServiceAccount", meshv1alpha1.IstioNamespace, remotesecret.ReaderName) {
		return nil
	}
	var made, expires time.Time
	if last := len(m.tokens) - 1; last >= 0 && !m.tokens[last].ended {
		made, expires = m.tokens[last].made, m.tokens[last].data.Expires
	}
	mint, _ := remotesecret.Mint(made, expires, reader.TokenTTL.Duration, now)
	if mint || reader.RenewAfter != nil && !reader.RenewAfter.Time.Before(made) && !now.Before(reader.RenewAfter.Time) {
		m.minted++
		m.tokens = append(m.tokens, token{made: now, data: &remotesecret.Token{
			Bearer: fmt.Sprintf("token-%s-%d-%d", m.Name, m.Incarnation, m.minted), CA: caBundle(),
			Server: "https://api." + m.Name + ".example.org", Expires: now.Add(reader.TokenTTL.Duration).Truncate(time.Second),
		}})
	}
	m.endUnused(reader.InUse)
	data := m.tokens[len(m.tokens)-1].data
	status.Token = &meshv1alpha1.MemberToken{Hash: data.Hash(), Expires: metav1.Time{Time: data.Expires}}
	return data.Data()
}

func (m *Member) endAll() {
	for i := range m.tokens {
		m.tokens[i].ended = true
	}
}

// endUnused ends tokens that are not in use, if a later one is: what is newer than
// all that are may have been handed out since.
func (m *Member) endUnused(inUse []meshv1alpha1.TokenGeneration) {
	later := false
	for i := len(m.tokens) - 1; i >= 0; i-- {
		hash := m.tokens[i].data.Hash()
		used := slices.ContainsFunc(inUse, func(g meshv1alpha1.TokenGeneration) bool { return g.Token == hash })
		if later && !used || m.Hasty && i < len(m.tokens)-1 {
			m.tokens[i].ended = true
		}
		later = later || used
	}
}

// look is what the agent sees of a peer.
func (m *Member) look(peer *meshv1alpha1.MemberPeer, there *Member, before *meshv1alpha1.MeshMemberStatus, now time.Time) meshv1alpha1.MemberPeerStatus {
	seen := meshv1alpha1.MemberPeerStatus{Name: peer.Name}
	if secret := m.secret(remotesecret.Name(peer.Name)); secret != nil {
		seen.SecretHash = remotesecret.SecretHash(peer.Name, secret.Data)
	}
	prove := func(step meshv1alpha1.LinkStep, passed bool, words string) {
		proof := meshv1alpha1.Proof{Step: step, Passed: passed, Since: &metav1.Time{Time: now.Truncate(time.Second)}}
		if !passed {
			proof.Reason, proof.Message = "NotSo", words
		}
		for i := range before.Peers {
			if went := before.Peers[i].SecretHash != "" && seen.SecretHash == ""; before.Peers[i].Name != peer.Name || went && step == meshv1alpha1.StepSynced {
				continue
			}
			for j := range before.Peers[i].Proofs {
				if was := &before.Peers[i].Proofs[j]; was.Step == step && was.Passed == passed {
					proof.Since = was.Since
				}
			}
		}
		seen.Proofs = append(seen.Proofs, proof)
	}
	if len(peer.Gateways) > 0 {
		prove(meshv1alpha1.StepProbe, there != nil && m.trusts(there) && there.hasGateway(), "connection refused, or another root")
		if proof := &seen.Proofs[len(seen.Proofs)-1]; proof.Passed && there.DeadAddress {
			proof.Reason, proof.Message = meshv1alpha1.ReasonSomeAddressesFail, "1 of 2 addresses do not answer as they have to: 192.0.2.1: connection refused"
		}
	}
	used, reads := m.remote[peer.Name]
	switch {
	case m.Hung:
		prove(meshv1alpha1.StepSynced, false, "istiod does not answer")
		return seen
	case seen.SecretHash == "":
		if reads {
			prove(meshv1alpha1.StepSynced, false, "istiod still reads it")
		}
		return seen
	}
	prove(meshv1alpha1.StepSynced, there != nil && used.secret == seen.SecretHash && there.accepts(used.token, now), "not synced")
	if len(peer.Gateways) > 0 {
		prove(meshv1alpha1.StepGatewayKnown, there != nil && there.hasGateway(), "the gateway is not known")
	}
	prove(meshv1alpha1.StepEndpoints, there != nil, "no endpoints")
	return seen
}

func (m *Member) hasGateway() bool { return m.GatewayLabel() != "" && !m.NoAddress }

// trusts says whether workloads of both trust each other.
func (m *Member) trusts(other *Member) bool {
	return m.effect != nil && other.effect != nil &&
		slices.Contains(m.effect.Roots, other.effect.Signer) && slices.Contains(other.effect.Roots, m.effect.Signer)
}

// Trusts says whether workloads of both trust each other.
func (m *Member) Trusts(other *Member) bool { return m.trusts(other) }
