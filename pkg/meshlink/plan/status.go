package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// status is what is said about the Mesh. The same picture gives the same: nothing in
// it is about now but when a condition changed.
func (r *round) status() meshv1alpha1.MeshStatus {
	status := meshv1alpha1.MeshStatus{ObservedGeneration: r.mesh.Generation}
	status.Trust = r.trustStatus()
	for _, c := range r.clusters {
		if c.phase != gone {
			status.Clusters = append(status.Clusters, r.clusterStatus(c))
		}
	}
	texts := 0
	for i := range r.pairs {
		l := r.linkStatus(&r.pairs[i])
		if l.Message != "" {
			if texts++; texts > maxTexts {
				l.Message = "" // the condition of the cluster has it
			}
		}
		l.Message = meshv1alpha1.Clip(l.Message, maxText)
		status.Links = append(status.Links, l)
	}
	ready := r.ready(&status)
	ready.ObservedGeneration = r.mesh.Generation
	set := []metav1.Condition{ready}
	if disrupted := r.disruptedCondition(); disrupted != nil {
		set = append(set, *disrupted)
	}
	status.Conditions = r.conditions(r.mesh.Status.Conditions, set...)
	return status
}

const (
	// maxTexts is how many links say in words what they lack, and maxText how long
	// that is, in bytes: all links are in one object.
	maxTexts, maxText = 200, 200
	// maxMessage is how long a condition's message may be.
	maxMessage = 2048
)

// word is a reason as conditions may have it: agents' words come in here.
var word = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]{0,254}[A-Za-z0-9_])?$`)

func reasonOf(reason string) string {
	if word.MatchString(reason) {
		return reason
	}
	return "Other"
}

// conditions sets some, with the time of those before that said the same.
func (r *round) conditions(before []metav1.Condition, set ...metav1.Condition) []metav1.Condition {
	var out []metav1.Condition
	for _, condition := range set {
		condition.Reason, condition.Message = reasonOf(condition.Reason), meshv1alpha1.Clip(condition.Message, maxMessage)
		condition.LastTransitionTime = metav1.NewTime(r.now.UTC().Truncate(time.Second))
		if was := meta.FindStatusCondition(before, condition.Type); was != nil && was.Status == condition.Status {
			condition.LastTransitionTime = was.LastTransitionTime
		}
		out = append(out, condition)
	}
	return out
}

func (r *round) trustStatus() *meshv1alpha1.MeshTrustStatus {
	if r.store == nil {
		// What was in force stays known: it says that there were roots.
		was := r.mesh.Status.Trust.DeepCopy()
		if was != nil {
			was.Message = meshv1alpha1.Clip(r.problem.message, maxMessage)
		}
		return was
	}
	state := r.store.State
	newest := state.Current
	if state.Next != "" {
		newest = state.Next
	}
	status := &meshv1alpha1.MeshTrustStatus{
		RootGeneration: state.Generation, Stage: string(state.Stage), Roots: texts(state.Want().Roots),
		Message: meshv1alpha1.Clip(cmp.Or(r.problem.message, r.barrier.Message(), r.notice), maxMessage),
	}
	if root, err := r.store.Root(newest); err == nil {
		status.RootExpires = &metav1.Time{Time: root.Certificate.NotAfter.UTC()}
	}
	return status
}

func (r *round) linkStatus(p *pair) meshv1alpha1.MeshLink {
	l := meshv1alpha1.MeshLink{
		From: p.from.name, To: p.to.name, Phase: p.result.Phase, Step: p.result.Step,
		Reason: p.result.Reason, Message: p.result.Message,
	}
	if flaw := p.flaw(); flaw != nil && l.Phase == meshv1alpha1.LinkReady {
		l.Reason, l.Message = flaw.Reason, flaw.Message
	}
	if l.Reason != "" {
		l.Reason = reasonOf(l.Reason)
	}
	if seen := p.from.seen(p.to.name); seen != nil {
		for i := range seen.Proofs {
			since := seen.Proofs[i].Since
			if since != nil && (l.LastProbe == nil || l.LastProbe.Before(since)) {
				l.LastProbe = &metav1.Time{Time: since.UTC()}
			}
		}
	}
	return l
}

func (r *round) clusterStatus(c *cluster) meshv1alpha1.MeshCluster {
	s := meshv1alpha1.MeshCluster{Name: c.name, Network: r.mesh.Spec.Network(c.name), GatewayAddresses: c.addresses}
	if status := c.status(); status != nil {
		if status.CA != nil && status.CA.Expires != nil {
			s.CAExpires = &metav1.Time{Time: status.CA.Expires.UTC()}
		}
		if status.Istiod != nil {
			s.IstiodVersion = status.Istiod.Version
		}
	}
	if expires := c.token.expires(); expires != nil && c.phase == active {
		s.TokenExpires = &metav1.Time{Time: expires.UTC()}
	}
	set := []metav1.Condition{r.available(c), r.trusted(c), r.gatewayReady(c), r.readable(c)}
	if locality := r.localityCondition(c); locality != nil {
		set = append(set, *locality)
	}
	var before []metav1.Condition
	for i := range r.mesh.Status.Clusters {
		if r.mesh.Status.Clusters[i].Name == c.name {
			before = r.mesh.Status.Clusters[i].Conditions
		}
	}
	s.Conditions = r.conditions(before, set...)
	return s
}

// disruptedCondition says that most clusters are lost, or were a short while ago; nil
// when that is long ago.
func (r *round) disruptedCondition() *metav1.Condition {
	switch {
	case r.disrupted:
		c := judged(meshv1alpha1.ConditionDisrupted, true, "MostAreLost", "nothing is heard of most clusters at once, which is rather about the federation than about them; none is withdrawn")
		return &c
	case r.calm.IsZero():
		return nil
	default:
		c := judged(meshv1alpha1.ConditionDisrupted, false, "MostAreBack", "clusters that are still lost are withdrawn after the hold time")
		return &c
	}
}

func judged(kind string, ok bool, reason, message string) metav1.Condition {
	condition := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	if ok {
		condition.Status = metav1.ConditionTrue
	}
	return condition
}

func (r *round) available(c *cluster) metav1.Condition {
	const kind = meshv1alpha1.ConditionAvailable
	if c.phase == leaving {
		reason, message := r.leavingWords(c)
		return judged(kind, false, reason, message)
	}
	if reason, message := c.link.MissingMember(); reason != "" {
		return judged(kind, false, reason, message)
	}
	for _, other := range []string{meshv1alpha1.ConditionObserved, meshv1alpha1.ConditionRemoteSecretsOwn, meshv1alpha1.ConditionNodesLocated} {
		if reason, message := c.trouble(other); reason != "" {
			return judged(kind, false, reason, message)
		}
	}
	return judged(kind, true, "Reporting", "its agent reports, and istiod answers")
}

func (r *round) trusted(c *cluster) metav1.Condition {
	const kind = meshv1alpha1.ConditionTrusted
	trusted := slices.Contains([]string{"InEffect", "IntermediateNotTaken", "Changing"}, c.ca.reason) || slices.Contains([]string{"Differ", trust.CATheirs}, c.ca.reason) && c.ca.state == link.CAChanging
	return judged(kind, trusted, cmp.Or(c.ca.reason, "Unknown"), c.ca.message)
}

func (r *round) gatewayReady(c *cluster) metav1.Condition {
	const kind = meshv1alpha1.ConditionGatewayReady
	switch {
	case c.phase == claimed:
		return judged(kind, false, "NotOurs", c.claim)
	case !c.gateway:
		return judged(kind, true, "NotNeeded", "no peer in another network calls it")
	}
	if reason, message := c.link.MissingGateway(); reason != "" {
		return judged(kind, false, reason, message)
	}
	for i := range r.pairs {
		p := &r.pairs[i]
		if flaw := p.flaw(); p.to == c && flaw != nil {
			return judged(kind, false, flaw.Reason, fmt.Sprintf("cluster %s does not reach all addresses of its gateway, so a part of the requests from there fails (%s); see that they answer, or take them away", p.from.name, flaw.Message))
		}
	}
	return judged(kind, true, "HasAddress", "peers of other networks connect to its gateway")
}

// flaw is the proof that some of the gateway's addresses do not answer, though the link can
// be used; nil when all do.
func (p *pair) flaw() *meshv1alpha1.Proof {
	if p.from.phase != active || p.from.lost != nil {
		return nil
	}
	if seen := p.from.seen(p.to.name); seen != nil {
		for i := range seen.Proofs {
			if proof := &seen.Proofs[i]; proof.Step == meshv1alpha1.StepProbe && proof.Passed && proof.Reason == meshv1alpha1.ReasonSomeAddressesFail {
				return proof
			}
		}
	}
	return nil
}

func (r *round) readable(c *cluster) metav1.Condition {
	const kind = meshv1alpha1.ConditionReadable
	switch expires := c.token.expires(); {
	case c.phase == claimed:
		return judged(kind, false, "NotOurs", c.claim)
	case !c.read:
		return judged(kind, true, "NotNeeded", "no peer reads it")
	case expires == nil:
		return judged(kind, false, "NoToken", c.token.problem)
	case !r.now.Before(*expires):
		return judged(kind, false, "TokenEnded", cmp.Or(c.token.warning, c.token.problem, "the token has ended"))
	default:
		r.at(*expires)
		return judged(kind, true, "HasToken", "peers have a token for it")
	}
}

// ready sums all up: it names the first thing that is missing, the one that other
// things follow from, and says how many more there are.
func (r *round) ready(status *meshv1alpha1.MeshStatus) metav1.Condition {
	problems := r.problems(status)
	if len(problems) == 0 {
		return judged(meshv1alpha1.ConditionReady, true, "Ready", fmt.Sprintf("%s, %s", count(len(status.Clusters), "cluster"), count(len(status.Links), "link")))
	}
	message := problems[0].message
	if more := len(problems) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	return judged(meshv1alpha1.ConditionReady, false, problems[0].reason, message)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// steps in the order in which they are made.
var steps = []meshv1alpha1.LinkStep{
	meshv1alpha1.StepMember, meshv1alpha1.StepCA, meshv1alpha1.StepNetwork, meshv1alpha1.StepGateway, meshv1alpha1.StepAddress,
	meshv1alpha1.StepProbe, meshv1alpha1.StepToken, meshv1alpha1.StepSecret, meshv1alpha1.StepSynced, meshv1alpha1.StepGatewayKnown, meshv1alpha1.StepEndpoints,
}

// problems are all that keeps the Mesh from being ready, the first ones first.
func (r *round) problems(status *meshv1alpha1.MeshStatus) []problem {
	var all []problem
	if r.deleting() {
		all = append(all, problem{"Deleting", "the Mesh is being deleted; its clusters leave it" + r.waitedFor()})
	}
	if r.affinity != nil {
		all = append(all, problem{"InvalidAffinity", fmt.Sprintf("spec.clusterAffinity: %v", r.affinity)})
	}
	if r.problem.reason != "" {
		all = append(all, r.problem)
	}
	if r.crowded {
		all = append(all, problem{"TooManyClusters", fmt.Sprintf("spec.clusterAffinity selects more than %d clusters, which is what a Mesh can have; no links are added. Make several Meshes of them", maxClusters)})
	}
	for _, name := range r.missing {
		all = append(all, problem{"ClusterMissing", fmt.Sprintf("spec.clusterAffinity names cluster %s, which is not in the federation; join it, or remove the name", name)})
	}
	if len(status.Clusters) == 0 && !r.deleting() && len(all) == 0 {
		all = append(all, problem{"NoClusters", "spec.clusterAffinity selects no cluster; look at \"kubectl get clusters --show-labels\""})
	}
	pairs := slices.DeleteFunc(slices.Clone(r.pairs), func(p pair) bool { return p.result.Phase == meshv1alpha1.LinkReady })
	slices.SortStableFunc(pairs, func(a, b pair) int {
		return slices.Index(steps, a.result.Step) - slices.Index(steps, b.result.Step)
	})
	for i := range pairs {
		p := &pairs[i]
		all = append(all, problem{cmp.Or(p.result.Reason, "LinkNotReady"), fmt.Sprintf("link from %s to %s, step %s: %s", p.from.name, p.to.name, p.result.Step, p.result.Message)})
	}
	if len(pairs) > 0 {
		return all // what clusters lack shows in links
	}
	for i := range status.Clusters {
		c := &status.Clusters[i]
		for j := range c.Conditions {
			if condition := &c.Conditions[j]; condition.Status != metav1.ConditionTrue {
				all = append(all, problem{condition.Reason, fmt.Sprintf("cluster %s, %s: %s", c.Name, condition.Type, condition.Message)})
			}
		}
	}
	return all
}
