package plan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// planCA decides what a cluster gets for a CA, and says how far it has it.
func (r *round) planCA(c *cluster) error {
	if c.phase == claimed || c.phase == gone {
		c.ca.reason, c.ca.message = "NotOurs", c.claim
		return nil
	}
	if work := c.works[PartCA]; work != nil {
		c.ca.issued, c.ca.given = issued(work, r.now)
	}
	c.ca.verdict = trust.Judge(r.mesh.Name, c.name, r.found(c), r.mesh.Spec.Trust.Adopt)
	if r.store != nil && c.ca.verdict.Write && (c.phase == active || !c.clean) && !r.deleting() {
		if err := r.chooseSigner(c); err != nil {
			return err
		}
	}
	r.judgeCA(c)
	return nil
}

// found is what the cluster has for a CA. The Secret of a Mesh that is no more, or
// does not want the cluster, is nobody's.
func (r *round) found(c *cluster) *trust.Found {
	status := c.status()
	if status == nil || status.CACerts == nil {
		return nil
	}
	found := &trust.Found{Exists: status.CACerts.Exists, Mesh: status.CACerts.Mesh, Roots: fingerprints(status.CACerts.Roots)}
	switch {
	case found.Mesh != r.mesh.Name:
		if !r.selects(found.Mesh, c.object) {
			found.Mesh = ""
		}
		found.Trusted = found.Mesh == "" && r.named(found.Roots)
	case r.store != nil:
		// A name is not enough: other federations may have a Mesh of it.
		found.Unknown = slices.ContainsFunc(found.Roots, func(root trust.Fingerprint) bool { return !r.store.State.Knows(root) })
	}
	return found
}

// named says whether a person has named all of some roots as those to trust.
func (r *round) named(roots []trust.Fingerprint) bool {
	return r.mesh.Spec.Trust.Mode == meshv1alpha1.TrustExternal && r.store != nil && len(roots) > 0 &&
		!slices.ContainsFunc(roots, func(root trust.Fingerprint) bool {
			return root != r.store.State.Current && root != r.store.State.Next
		})
}

// own says whether the cluster has a CA that a person has made under the root of the
// Mesh, and keeps it.
func (r *round) own(c *cluster) bool {
	found := r.found(c)
	return c.phase == active && found != nil && found.Exists && found.Trusted && !r.mesh.Spec.Trust.Adopt
}

// issued reads the intermediate of a cluster back from its Work. One that cannot be
// used any more is as good as none.
func issued(work *workv1alpha1.Work, now time.Time) (*trust.Intermediate, []trust.Fingerprint) {
	secret := secretOf(work) // nil for no Work
	if secret == nil {
		return nil, nil
	}
	roots, err := trust.FingerprintsOf(secret.Data[trust.RootCertKey])
	if err != nil {
		return nil, nil
	}
	signer, err := trust.ParseCACerts(secret.Data, now)
	if err != nil {
		return nil, roots
	}
	return signer, roots
}

// secretOf is the Secret that a Work brings; nil when it brings none.
func secretOf(work *workv1alpha1.Work) *corev1.Secret {
	if work == nil || len(work.Spec.Workload.Manifests) != 1 {
		return nil
	}
	secret := &corev1.Secret{}
	if err := json.Unmarshal(work.Spec.Workload.Manifests[0].Raw, secret); err != nil || secret.Kind != "Secret" {
		return nil
	}
	return secret
}

// chooseSigner says which intermediate and roots the cluster is to have.
func (r *round) chooseSigner(c *cluster) error {
	leaf := r.mesh.Spec.Trust.WorkloadCertificateLifetime.Duration
	want := r.store.State.Want()
	roots, err := r.store.Trusted()
	if err != nil {
		return r.fail(c, "roots", err)
	}
	effect := effectOf(c.status())
	decision := trust.Renew(c.ca.issued, want.Signer, effect, r.now, leaf)
	c.ca.warning = decision.Warning
	if !decision.At.IsZero() {
		r.at(decision.At)
	}
	c.ca.signer = c.ca.issued
	given, err := r.givenSigner(c)
	switch {
	case err == nil && given != nil && given.Root == want.Signer && c.ca.issued != nil:
		// What people put there counts, and they renew it.
		if decision.Issue && decision.Reason == trust.IssueRenewal && given.Fingerprint() == c.ca.issued.Fingerprint() {
			c.ca.warning = fmt.Sprintf("its intermediate ends on %s; put another one into the Secret of spec.trust.secretRef", given.Certificate.NotAfter.UTC().Format(time.RFC3339))
		}
		decision.Issue = given.Fingerprint() != c.ca.issued.Fingerprint()
	case err != nil && !decision.Issue:
		c.ca.warning = err.Error()
	}
	if err != nil && c.phase == active && c.ca.issued != nil && r.problem.reason == "" {
		// It works as long as the one that it has lasts, which nobody would notice.
		r.problem = r.externalProblem("cannot be used for cluster %s: %v; put right what it has there", c.name, errors.Unwrap(err))
	}
	chosen := given != nil && given.Root == want.Signer // by people, who may have put it there to replace that one
	if !chosen && decision.Reason == trust.IssueRenewal && r.endsWithRoot(c.ca.issued) {
		decision.Issue = false // another one would live no longer
	}
	if decision.Issue && c.ca.issued != nil && r.postpone(c, want, effect, decision) {
		decision.Issue = false
	}
	if decision.Issue {
		signer, err := r.newSigner(c)
		switch {
		case err == nil:
			c.ca.signer = signer
		case c.ca.issued == nil || c.ca.issued.Root != want.Signer:
			// Nothing under the wanted root: what the cluster has stays as it is.
			c.ca.problem, c.ca.signer = err.Error(), nil
			return nil
		default:
			c.ca.warning = err.Error()
		}
	}
	c.ca.roots = roots
	return nil
}

// endsWithRoot says whether an intermediate lives as long as the root that it is under.
func (r *round) endsWithRoot(signer *trust.Intermediate) bool {
	root, err := r.store.Root(signer.Root)
	return err == nil && !signer.Certificate.NotAfter.Before(root.Certificate.NotAfter)
}

// postpone says whether a renewal waits until the wanted roots are in effect: an
// istiod that does not load other roots would load neither. It does not wait for
// ever.
func (r *round) postpone(c *cluster, want trust.Want, effect *trust.Effect, decision trust.Decision) bool {
	if decision.Reason == trust.IssueRoot {
		return false
	}
	if slices.Equal(c.ca.given, want.Roots) && (effect == nil || slices.Equal(effect.Roots, want.Roots)) {
		return false
	}
	cert := c.ca.issued.Certificate
	at := trust.RenewAt(cert.NotBefore, cert.NotAfter, r.mesh.Spec.Trust.WorkloadCertificateLifetime.Duration)
	latest := at.Add(cert.NotAfter.Sub(at) / 2)
	if !r.now.Before(latest) {
		return false
	}
	r.at(latest)
	return true
}

// judgeCA compares what is in effect with what is wanted.
func (r *round) judgeCA(c *cluster) {
	ca := &c.ca
	status := c.status()
	effect := effectOf(status)
	set := func(state link.CAState, reason, format string, args ...any) {
		ca.state, ca.reason, ca.message = state, reason, fmt.Sprintf(format, args...)
	}
	if r.store == nil && r.problem.reason == "" {
		set(link.CAUnknown, "NoRootYet", "the root is made when all clusters have said whether they have a CA; look at those that do not report")
		return
	}
	if r.store == nil {
		set(link.CAUnknown, r.problem.reason, "%s", r.problem.message)
		return
	}
	want := r.store.State.Want()
	failed := failure(c.works[PartCA])
	_, signs := c.trouble(meshv1alpha1.ConditionCASigns)
	foreign := slices.Contains([]string{trust.CAForeign, trust.CAOtherMesh, trust.CAUnknownRoots}, ca.verdict.Reason)
	if foreign {
		ca.warning = "" // about an intermediate that is not to be taken
	}
	switch {
	case foreign && effect != nil && r.store.State.Accepts(effect):
		// What works goes on; nothing is written.
		set(notAccepted(r, effect), ca.verdict.Reason, "%s", strings.TrimPrefix(ca.verdict.Message, "cluster "+c.name+" "))
		if slices.Equal(effect.Roots, want.Roots) && effect.Signer == want.Signer {
			ca.state = link.CAInEffect
		}
	case ca.verdict.Reason == trust.CAUnknownRoots:
		// After a restore clusters may have newer roots than the federation, and trust
		// each other.
		set(link.CAUnknown, ca.verdict.Reason, "%s", strings.TrimPrefix(ca.verdict.Message, "cluster "+c.name+" "))
	case foreign:
		set(link.CAWrong, ca.verdict.Reason, "%s", strings.TrimPrefix(ca.verdict.Message, "cluster "+c.name+" "))
	case effect != nil && slices.Equal(effect.Roots, want.Roots) && effect.Signer == want.Signer:
		set(link.CAInEffect, "InEffect", "%s is in effect", trust.Names(want.Roots))
		if ca.verdict.Reason == trust.CATheirs {
			ca.message = strings.TrimPrefix(ca.verdict.Message, "cluster "+c.name+" ")
		}
		if told := cmp.Or(ca.warning, signs); told != "" {
			ca.reason, ca.message = "IntermediateNotTaken", told
		}
	case ca.problem != "":
		set(notAccepted(r, effect), "NoIntermediate", "%s", ca.problem)
	case !ca.verdict.Join:
		set(notAccepted(r, effect), ca.verdict.Reason, "%s", strings.TrimPrefix(ca.verdict.Message, "cluster "+c.name+" "))
	case failed != "":
		set(notAccepted(r, effect), "CANotApplied", "%s", failed)
	case effect == nil && signs != "":
		set(link.CAUnknown, "NotReported", "%s", signs)
	case effect == nil:
		set(link.CAUnknown, "NotReported", "its agent has not reported which roots istiod has in effect")
	case signs != "":
		// Some of several istiods have it.
		set(notAccepted(r, effect), "Differ", "%s", signs)
	case ca.verdict.Reason == trust.CATheirs:
		set(notAccepted(r, effect), ca.verdict.Reason, "%s", ownCA(effect, want))
	case r.store.State.Accepts(effect):
		set(link.CAChanging, "Changing", "istiod has %s in effect, signed under %s, and is to have %s, signed under %s", trust.Names(effect.Roots), effect.Signer.Short(), trust.Names(want.Roots), want.Signer.Short())
	case c.works[PartCA] == nil || !status.CACerts.Exists:
		set(link.CAWrong, "NotThere", "Secret istio-system/%s is not there yet", trust.CACertsSecret)
	default:
		set(link.CAWrong, "NotInEffect", "%s", loading(effect.Roots, want.Roots))
	}
}

// notAccepted is the state of a cluster that cannot be given what is wanted: what it
// has may do all the same.
func notAccepted(r *round, effect *trust.Effect) link.CAState {
	switch {
	case effect == nil:
		return link.CAUnknown
	case r.store.State.Accepts(effect):
		return link.CAChanging
	default:
		return link.CAWrong
	}
}

// ownCA says what whoever made the CA of a cluster has to do.
func ownCA(effect *trust.Effect, want trust.Want) string {
	return fmt.Sprintf("write %s into Secret istio-system/%s there, which this Mesh did not make, with an intermediate under %s: istiod has %s in effect, signed under %s",
		trust.Names(want.Roots), trust.CACertsSecret, want.Signer.Short(), trust.Names(effect.Roots), effect.Signer.Short())
}

// loading says how istiod gets to load other roots: what to do first, for the message
// may be cut.
func loading(inEffect, wanted []trust.Fingerprint) string {
	const restart = "restart istiod there (kubectl -n istio-system rollout restart deployment istiod)"
	if trust.Loadable(inEffect, wanted) {
		return fmt.Sprintf("%s, or set ISTIO_MULTIROOT_MESH=true, without which it does not load another root by itself: it has %s in effect, and %s is in Secret istio-system/%s", restart, trust.Names(inEffect), trust.Names(wanted), trust.CACertsSecret)
	}
	return fmt.Sprintf("%s: it has %s in effect, and was started before Secret istio-system/%s came, with whose %s that has nothing in common", restart, trust.Names(inEffect), trust.CACertsSecret, trust.Names(wanted))
}

// failure is what the agent said about a Work that it could not apply; empty when
// it could, or has said nothing.
func failure(work *workv1alpha1.Work) string {
	if work == nil {
		return ""
	}
	applied := meta.FindStatusCondition(work.Status.Conditions, workv1alpha1.WorkApplied)
	if applied == nil || applied.Status != metav1.ConditionFalse {
		return ""
	}
	return applied.Message
}

// caWork is the Work with the CA as it is to be; nil to leave it as it is.
func (r *round) caWork(c *cluster) (*workv1alpha1.Work, error) {
	if c.ca.signer == nil || c.ca.roots == nil {
		return nil, nil
	}
	work := &workv1alpha1.Work{ObjectMeta: metadata(r.mesh.Name, c.name, WorkName(r.mesh.Name, PartCA))}
	if c.ca.signer == c.ca.issued && slices.Equal(c.ca.given, r.store.State.Want().Roots) {
		// The same CA can be written in several ways; this is the one that is there.
		work.Spec = *c.works[PartCA].Spec.DeepCopy()
	} else if err := r.fillCA(c, work); err != nil {
		return nil, r.fail(c, "CA", err)
	}
	// Its workloads live by it: the cluster keeps it when it leaves.
	preserve := true
	work.Spec.PreserveResourcesOnDeletion = &preserve
	if c.takesOver() {
		work.Annotations = map[string]string{names.ConflictResolutionAnnotation: "overwrite"}
	}
	return work, nil
}

func (r *round) fillCA(c *cluster, work *workv1alpha1.Work) error {
	data, err := trust.CACerts(c.ca.signer, c.ca.roots, r.now)
	if err != nil {
		return err
	}
	raw, err := encode(&corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: meshv1alpha1.IstioNamespace, Name: trust.CACertsSecret,
			Labels: map[string]string{meshv1alpha1.MeshLabel: r.mesh.Name},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	})
	if err != nil {
		return err
	}
	work.Spec.Workload.Manifests = []workv1alpha1.Manifest{{RawExtension: runtime.RawExtension{Raw: raw}}}
	return nil
}

// takesOver says whether the agent may overwrite a Secret that has none of its marks:
// one that was given up, or this Mesh's own from before the cluster left it, whose
// marks were taken off then. Once it has done so that right ends.
func (c *cluster) takesOver() bool {
	work := c.works[PartCA]
	switch c.ca.verdict.Reason {
	case trust.CAAdopted:
		return true
	case trust.CAOurs:
		return work == nil || work.Annotations[names.ConflictResolutionAnnotation] != "" && !meta.IsStatusConditionTrue(work.Status.Conditions, workv1alpha1.WorkApplied)
	default:
		return false
	}
}
