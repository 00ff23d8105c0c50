package plan

import (
	"crypto/x509"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// maxClusters is how many clusters a Mesh can have: links are pairs, and all are in
// one status.
const maxClusters = 100

// phase says what a cluster is to the Mesh.
type phase int

const (
	// active: it is in the Mesh.
	active phase = iota
	// claimed: it is selected, and cannot be had: another Mesh has it, for one.
	claimed
	// leaving: it was in the Mesh and is no longer to be.
	leaving
	// gone: it was in the Mesh and is in the federation no more, or on its way out
	// of it. Nothing reaches it.
	gone
)

// cluster is all about one cluster that is decided step by step.
type cluster struct {
	name   string
	object *clusterv1alpha1.Cluster // nil when there is none
	phase  phase
	// claim says why it cannot be had, why is that in one word.
	claim, why string
	// lost is since when nothing is heard of it, heard since when something is.
	lost   *time.Time
	heard  time.Time
	member *meshv1alpha1.MeshMember // nil when there is none
	works  map[string]*workv1alpha1.Work

	// Of one that leaves: who still reads it, whom it still reads itself, whether it
	// may be cleaned, and has been.
	reading, keeping []link.Holding
	clean, left      bool

	ca    caPlan
	token tokenPlan
	// gateway says that it needs one, addresses where peers of other networks
	// connect.
	gateway   bool
	addresses []meshv1alpha1.GatewayAddress
	// read says that somebody reads it, or is to.
	read bool

	link *link.Cluster
}

// status of the cluster's agent; nil when it never reported.
func (c *cluster) status() *meshv1alpha1.MeshMemberStatus {
	if c.member == nil || !reported(&c.member.Status) {
		return nil
	}
	return &c.member.Status
}

// reported says whether an agent has written a status.
func reported(s *meshv1alpha1.MeshMemberStatus) bool {
	return s.ObservedGeneration != 0 || s.Istiod != nil || s.CACerts != nil || s.CA != nil || s.Token != nil ||
		len(s.Conditions) > 0 || len(s.Peers) > 0 || s.Network != "" || s.Gateway != nil || len(s.Regions) > 0
}

// trouble is what the agent says is wrong with something, by the type of its condition;
// empty when nothing is.
func (c *cluster) trouble(kind string) (reason, message string) {
	status := c.status()
	if status == nil {
		return "", ""
	}
	condition := meta.FindStatusCondition(status.Conditions, kind)
	if condition == nil || condition.Status != metav1.ConditionFalse {
		return "", ""
	}
	return condition.Reason, condition.Message
}

// current says whether the agent has reported about the MeshMember as it is.
func (c *cluster) current() bool {
	return c.member != nil && c.member.Status.ObservedGeneration >= c.member.Generation
}

// lostSince is from when the hold time of a cluster counts of which nothing is heard; nil
// for one that is heard of.
func (r *round) lostSince(c *cluster) *time.Time {
	if c.lost != nil && r.picture.Began.After(*c.lost) {
		return &r.picture.Began
	}
	return c.lost
}

// lostFor says whether nothing was heard of the cluster for the hold time.
func (r *round) lostFor(c *cluster) bool {
	since := r.lostSince(c)
	return since != nil && r.now.Sub(*since) >= r.hold()
}

// round is one look at a Mesh. Steps fill it one after another.
type round struct {
	picture  *Picture
	mesh     *meshv1alpha1.Mesh // with defaults
	now      time.Time
	clusters []*cluster // by name
	byName   map[string]*cluster
	missing  []string // clusters that are named and not there
	affinity error    // why nothing is selected
	// disrupted says that most clusters are lost at once, crowded that there are too
	// many.
	disrupted, crowded bool
	// calm is since when they are not any more; zero for long ago.
	calm time.Time

	store    *trust.Store // nil when there is none, see problem
	external *trust.External
	problem  problem // of trust
	notice   string  // about the root, for people
	barrier  trust.Barrier

	accounts map[meshv1alpha1.MeshSecretAccess][]workv1alpha1.Manifest

	pairs     []pair
	worthless map[string][]string // see Plan
	again     time.Time
}

// problem is something that keeps a Mesh from being ready.
type problem struct{ reason, message string }

// pair is an ordered pair of clusters and how it stands.
type pair struct {
	from, to *cluster
	result   link.Result
}

// Make says what to write.
func Make(picture *Picture, now time.Time) (*Plan, error) {
	r := &round{picture: picture, mesh: picture.Mesh.DeepCopy(), now: now, byName: map[string]*cluster{}, worthless: map[string][]string{}}
	meshv1alpha1.SetDefaults_Mesh(r.mesh)
	r.membership()
	r.departures()
	if err := r.trust(); err != nil {
		return nil, err
	}
	for _, c := range r.clusters {
		if err := r.planCA(c); err != nil {
			return nil, err
		}
	}
	wanted := r.wantedPairs()
	r.gateways(wanted)
	for _, c := range r.clusters {
		if err := r.readToken(c); err != nil {
			return nil, err
		}
	}
	for _, c := range r.clusters {
		c.link = r.linkOf(c)
	}
	r.evaluate(wanted)
	r.rotateTokens()

	writes, finished, err := r.writes()
	if err != nil {
		return nil, err
	}
	plan := &Plan{Writes: writes, Gone: finished, Again: r.again, worthless: r.worthless, unjoined: r.soon()}
	if !finished {
		plan.Status = r.status()
		plan.Events = r.events(&plan.Status)
	}
	return plan, nil
}

// at has the Mesh looked at again at a time.
func (r *round) at(t time.Time) {
	if r.again.IsZero() || t.Before(r.again) {
		r.again = t
	}
}

func (r *round) hold() time.Duration { return r.mesh.Spec.WithdrawAfter.Duration }

func (r *round) deleting() bool { return !r.mesh.DeletionTimestamp.IsZero() }

// fail says what an error is about.
func (r *round) fail(c *cluster, what string, err error) error {
	return fmt.Errorf("mesh %s, cluster %s: %s: %w", r.mesh.Name, c.name, what, err)
}

// caPlan is what a cluster gets for a CA.
type caPlan struct {
	verdict trust.Verdict
	// issued is what the stored Work has, nil when there is none that can be used;
	// given are the roots beside it.
	issued *trust.Intermediate
	given  []trust.Fingerprint
	// signer and roots are what it is to have; nil when nothing is to be written.
	signer *trust.Intermediate
	roots  []*x509.Certificate
	// problem says why there is no signer, warning that it is not taken.
	problem, warning string

	state   link.CAState
	reason  string
	message string
}

// tokenPlan is what a cluster is read with.
type tokenPlan struct {
	// newest is nil when there is no token to hand out.
	newest *remotesecret.Generation
	// manifest is the remote secret with it.
	manifest workv1alpha1.Manifest
	// problem says why not.
	problem string
	warning string
	// inUse are the tokens that peers may use, after this round.
	inUse remotesecret.State
	// renewAfter is as it is to be in the MeshMember.
	renewAfter *time.Time
}
