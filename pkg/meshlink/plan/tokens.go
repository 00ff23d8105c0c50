package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// maxInUse is how many tokens of a cluster can be in use. At half of their lives the
// third is made when the first ends.
const maxInUse = 4

// server is where peers reach the API server of a cluster; empty when only its agent
// can say.
func (r *round) server(c *cluster) string {
	for i := range r.mesh.Spec.RemoteAccess.Servers {
		if server := &r.mesh.Spec.RemoteAccess.Servers[i]; server.ClusterName == c.name {
			return server.URL
		}
	}
	if c.object == nil {
		return ""
	}
	return c.object.Spec.APIEndpoint
}

// readToken takes in the token that a cluster's agent has left.
func (r *round) readToken(c *cluster) error {
	c.token.inUse = inUse(c.member)
	c.token.renewAfter = r.renewAfter(c)
	if c.phase != active {
		return nil
	}
	status, given := c.status(), r.picture.Tokens[c.name]
	if !given.Again.IsZero() {
		r.atUnlessPast(given.Again)
	}
	failed := failure(c.works[PartReader])
	_, trouble := c.trouble(meshv1alpha1.ConditionTokenDelivered)
	switch {
	case failed != "":
		c.token.problem = "the account that peers read it as could not be made: " + failed
	case trouble != "" && given.Token == nil:
		c.token.problem = trouble
	case status == nil || status.Token == nil:
		c.token.problem = "its agent has made none yet; look at the agent's log if it stays so"
	case given.Token == nil:
		c.token.problem = given.Problem
		if c.token.problem == "" {
			c.token.problem = "its agent says that it has made one, which is not read yet"
		}
	}
	if given.Token == nil {
		return nil
	}
	if r.formerToken(c) {
		c.token.problem = "its agent is to make another one, for the one it has is from before nobody read it; look at the agent's log if it stays so"
		return nil
	}
	if !r.makeRoom(c, given.Hash()) {
		c.token.problem = fmt.Sprintf("it has made a token, and %d earlier ones are still in use; look why its peers do not take later ones", maxInUse)
		return nil
	}
	token := *given.Token
	if server := r.server(c); server != "" {
		token.Server = server
	}
	secret, err := remotesecret.Secret(r.mesh.Name, c.name, &token)
	if err != nil {
		return fmt.Errorf("mesh %s: %w", r.mesh.Name, err)
	}
	raw, err := encode(secret)
	if err != nil {
		return r.fail(c, "remote secret", err)
	}
	c.token.manifest = workv1alpha1.Manifest{RawExtension: runtime.RawExtension{Raw: raw}}
	c.token.newest = &remotesecret.Generation{
		Token: token.Hash(), Secret: remotesecret.SecretHash(c.name, secret.Data),
		Expires: token.Expires.UTC().Truncate(time.Second),
	}
	return nil
}

// formerToken says whether the token that the agent has reported is from before nobody read
// the cluster: the account that it was for may be gone since, and the token with it.
func (r *round) formerToken(c *cluster) bool {
	if c.member.Spec.Reader == nil {
		return true
	}
	return len(c.token.inUse.Generations) == 0 && c.token.renewAfter != nil && !c.current()
}

// makeRoom forgets tokens in use that have ended, if there are too many to take another one
// in, and says whether it can be taken in then.
func (r *round) makeRoom(c *cluster, token string) bool {
	all := &c.token.inUse.Generations
	if len(*all) < maxInUse || slices.ContainsFunc(*all, func(g remotesecret.Generation) bool { return g.Token == token }) {
		return true
	}
	*all = slices.DeleteFunc(*all, func(g remotesecret.Generation) bool { return !r.now.Before(g.Expires) })
	for _, g := range *all {
		r.at(g.Expires)
	}
	return len(*all) < maxInUse
}

// expires is when the token ends that peers have; nil when they have none.
func (t *tokenPlan) expires() *time.Time {
	switch last := len(t.inUse.Generations) - 1; {
	case t.newest != nil:
		return &t.newest.Expires
	case last >= 0:
		return &t.inUse.Generations[last].Expires
	default:
		return nil
	}
}

// inUse reads the tokens that peers may use back from the MeshMember.
func inUse(member *meshv1alpha1.MeshMember) remotesecret.State {
	var state remotesecret.State
	if member == nil || member.Spec.Reader == nil {
		return state
	}
	for _, g := range member.Spec.Reader.InUse {
		state.Generations = append(state.Generations, remotesecret.Generation{Token: g.Token, Secret: g.Secret, Expires: g.Expires.UTC()})
	}
	return state
}

// rotateTokens says which tokens have to stay valid.
func (r *round) rotateTokens() {
	for _, c := range r.clusters {
		if c.phase != active || c.token.newest == nil {
			continue
		}
		state, plan := remotesecret.Rotate(c.token.inUse, *c.token.newest, r.readers(c), r.now)
		c.token.inUse, c.token.warning = state, plan.Warning
		for _, g := range state.Generations {
			r.atUnlessPast(g.Expires)
		}
	}
}

// readers are the clusters that have a remote secret for one, or may have.
func (r *round) readers(c *cluster) []remotesecret.ReaderReport {
	var readers []remotesecret.ReaderReport
	for _, reader := range r.clusters {
		if report, ok := reader.reads(c); ok {
			readers = append(readers, report)
		}
	}
	return readers
}

// reads says what a cluster reads another with; false when it never had a remote
// secret for it. One that leaves does not count: it is to lose what it has.
func (c *cluster) reads(to *cluster) (remotesecret.ReaderReport, bool) {
	report := remotesecret.ReaderReport{Cluster: c.name}
	if c == to || c.phase != active {
		return report, false
	}
	written := c.works[PartPeer(to.name)] != nil
	if seen := c.seen(to.name); seen != nil {
		report.Secret = seen.SecretHash
		report.Synced = slices.ContainsFunc(seen.Proofs, func(p meshv1alpha1.Proof) bool {
			return p.Step == meshv1alpha1.StepSynced && p.Passed
		})
	}
	// One that was handed a secret and does not show it yet may use it any moment.
	report.Known = c.lost == nil && c.status() != nil && (!written || report.Secret != "")
	return report, written || report.Secret != ""
}

// seen is what the agent of a cluster reported of a peer; nil when it did not.
func (c *cluster) seen(peer string) *meshv1alpha1.MemberPeerStatus {
	status := c.status()
	if status == nil {
		return nil
	}
	for i := range status.Peers {
		if status.Peers[i].Name == peer {
			return &status.Peers[i]
		}
	}
	return nil
}

// renewAfter is since when the token of a cluster must have been made: after every
// cluster that could read it was unjoined. That one cannot be cleaned, so what it
// knows is made worthless.
func (r *round) renewAfter(c *cluster) *time.Time {
	var after *time.Time
	if c.member != nil && c.member.Spec.Reader != nil && c.member.Spec.Reader.RenewAfter != nil {
		t := c.member.Spec.Reader.RenewAfter.UTC()
		after = &t
	}
	there := c.member != nil && c.member.Spec.Reader != nil
	if c.phase == active && !there && c.status() != nil && c.status().Token != nil {
		// It is read again before its agent knew that nobody does, so it has the token
		// of then, which clusters may know that were unjoined meanwhile.
		next := r.soon()
		return &next
	}
	if c.phase != active && !there {
		return after
	}
	for _, former := range r.clusters {
		// One without a MeshMember that was in the mesh came under the name of another.
		again := former.phase == active && former != c && former.member == nil && r.linked(former.name, c.name)
		if former.phase != gone && !again || !r.mayHave(former, c) {
			continue
		}
		if went := r.went(former); went != nil && !again && after != nil && !after.Before(*went) {
			continue // it was asked for when the cluster went
		}
		if !slices.Contains(r.worthless[former.name], c.name) {
			r.worthless[former.name] = append(r.worthless[former.name], c.name)
		}
		next := r.soon()
		after = &next
	}
	return after
}

// went is since when a cluster was given nothing more; nil when that is not known.
func (r *round) went(former *cluster) *time.Time {
	if former.object != nil {
		if former.object.DeletionTimestamp == nil {
			return nil
		}
		return &former.object.DeletionTimestamp.Time
	}
	for i := range r.mesh.Status.Clusters {
		if s := &r.mesh.Status.Clusters[i]; s.Name == former.name {
			c := meta.FindStatusCondition(s.Conditions, meshv1alpha1.ConditionAvailable)
			if c == nil || c.Reason != reasonUnjoined || former.member != nil && !former.member.CreationTimestamp.Time.Before(c.LastTransitionTime.Time) {
				return nil // or it was back since
			}
			return &c.LastTransitionTime.Time
		}
	}
	return nil
}

// soon is the next time that can be stored: in seconds.
func (r *round) soon() time.Time { return r.now.UTC().Truncate(time.Second).Add(time.Second) }

// mayHave says whether a cluster could have a remote secret for another.
func (r *round) mayHave(former, c *cluster) bool {
	if r.linked(former.name, c.name) || former.works[PartPeer(c.name)] != nil {
		return true
	}
	if former.member == nil {
		return false
	}
	return slices.ContainsFunc(former.member.Status.Peers, func(p meshv1alpha1.MemberPeerStatus) bool { return p.Name == c.name && p.SecretHash != "" }) ||
		slices.ContainsFunc(former.member.Spec.Peers, func(p meshv1alpha1.MemberPeer) bool { return p.Name == c.name && p.SecretHash != "" })
}

// linked says whether the status has a link that came so far that there was a remote
// secret for it.
func (r *round) linked(from, to string) bool {
	return slices.ContainsFunc(r.mesh.Status.Links, func(l meshv1alpha1.MeshLink) bool {
		return l.From == from && l.To == to && hadSecret(&l)
	})
}

// reader is MeshMember.spec.reader of a cluster as it is to be; nil when nobody is to
// read it.
func (r *round) reader(c *cluster) *meshv1alpha1.MemberReader {
	there := c.member != nil && c.member.Spec.Reader != nil
	switch {
	case there && (len(r.readers(c)) > 0 || len(r.stillReading(c)) > 0): // as long as somebody uses it
	case !c.read, !c.ca.verdict.Join && !there:
		return nil
	}
	reader := &meshv1alpha1.MemberReader{
		ServiceAccount: remotesecret.ReaderName,
		TokenTTL:       *r.mesh.Spec.RemoteAccess.TokenTTL,
		Server:         r.server(c),
	}
	if c.token.renewAfter != nil {
		reader.RenewAfter = &metav1.Time{Time: *c.token.renewAfter}
	}
	for _, g := range c.token.inUse.Generations {
		reader.InUse = append(reader.InUse, meshv1alpha1.TokenGeneration{Token: g.Token, Secret: g.Secret, Expires: metav1.Time{Time: g.Expires}})
	}
	return reader
}
