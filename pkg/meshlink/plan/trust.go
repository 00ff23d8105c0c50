package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// Reasons for which nothing is signed.
const (
	reasonTrustMissing  = "TrustSecretMissing"
	reasonTrustUnusable = "TrustSecretUnusable"
	reasonTrustOutdated = "TrustSecretOutdated"
	reasonExternal      = "ExternalCAUnusable"
)

// trust reads what is stored of the roots, and begins or goes on with a change.
func (r *round) trust() error {
	spec := &r.mesh.Spec.Trust
	if spec.Mode == meshv1alpha1.TrustExternal && !r.deleting() {
		r.at(r.now.Add(externalPoll))
		r.readExternal()
	}
	secret := names.SystemNamespace + "/" + meshv1alpha1.TrustSecretName(r.mesh.Name)
	switch {
	case r.picture.Trust != nil:
		store, err := trust.DecodeStore(r.picture.Trust.Data)
		if err != nil {
			r.problem = problem{reasonTrustUnusable, fmt.Sprintf("Secret %s with the roots of the mesh: %v. Until it is restored from a backup nothing is signed; what clusters have stays", secret, err)}
			return nil
		}
		if old := r.outdated(store); old != "" {
			r.problem = problem{reasonTrustOutdated, fmt.Sprintf("Secret %s %s. Restore the newer one; until then nothing is signed, and what clusters have stays", secret, old)}
			return nil
		}
		r.store = store
	case r.hadTrust():
		r.problem = problem{reasonTrustMissing, fmt.Sprintf("Secret %s with the roots of the mesh is gone. Restore it from a backup; until then nothing is signed, and what clusters have stays. If there is none, delete the Mesh and make it anew with spec.trust.adopt: true, which replaces istio-system/%s in every member", secret, trust.CACertsSecret)}
		return nil
	case r.deleting():
		return nil
	case !r.mayBegin():
		return nil
	default:
		return r.firstRoot()
	}
	if r.deleting() {
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	state, barrier := trust.Advance(r.store.State, r.reports(), r.now, spec.WorkloadCertificateLifetime.Duration)
	if barrier.Until != nil {
		r.at(*barrier.Until)
	}
	if state.Stage != r.store.State.Stage {
		r.at(r.now.Add(time.Second)) // another change may begin, or this one go on
	}
	r.store, r.barrier = r.store.With(state), barrier
	r.expectEnd()
	return nil
}

// outdated says why a store is an earlier one than the federation has had; empty when
// it is not. It looks at what the federation itself has written: what a single cluster
// reports does not stop all.
func (r *round) outdated(store *trust.Store) string {
	if status := r.mesh.Status.Trust; status != nil && status.RootGeneration > store.State.Generation {
		return fmt.Sprintf("has root %d, and the mesh has had root %d, %s", store.State.Generation, status.RootGeneration, trust.Names(fingerprints(status.Roots)))
	}
	for _, c := range r.clusters {
		_, roots := issued(c.works[PartCA], r.now)
		for _, root := range roots {
			if !store.State.Knows(root) {
				return fmt.Sprintf("has not root %s, which cluster %s was given", root.Short(), c.name)
			}
		}
	}
	return ""
}

// mayBegin says whether a first root may be made: when all clusters that are heard of
// have said what they have for a CA, and none has one of a Mesh of this name. An agent
// that never reports is waited for no longer than the hold time.
func (r *round) mayBegin() bool {
	may := true
	for _, c := range r.clusters {
		if c.phase != active || c.lost != nil {
			continue
		}
		status := c.status()
		switch {
		case status != nil && status.CACerts != nil && status.CACerts.Mesh == r.mesh.Name && !r.mesh.Spec.Trust.Adopt:
			r.problem = problem{reasonTrustMissing, fmt.Sprintf("cluster %s has a Secret istio-system/%s of a Mesh %s with %s, and Secret %s/%s with that root is not there. Restore it from a backup, or set spec.trust.adopt: true to replace what clusters have",
				c.name, trust.CACertsSecret, r.mesh.Name, trust.Names(fingerprints(status.CACerts.Roots)), names.SystemNamespace, meshv1alpha1.TrustSecretName(r.mesh.Name))}
			return false
		case status != nil && status.CACerts != nil:
		case c.member == nil:
			may = false
		default:
			until := c.member.CreationTimestamp.Add(r.hold())
			may = may && !r.now.Before(until)
			r.atUnlessPast(until)
		}
	}
	return may
}

// hadTrust says whether the mesh has had roots before.
func (r *round) hadTrust() bool {
	return r.mesh.Status.Trust != nil && len(r.mesh.Status.Trust.Roots) > 0 ||
		slices.ContainsFunc(r.clusters, func(c *cluster) bool { return c.works[PartCA] != nil })
}

func (r *round) certified() trust.Mesh {
	return trust.Mesh{Name: r.mesh.Name, TrustDomain: r.mesh.Spec.Trust.TrustDomain}
}

// firstRoot makes the store of a new mesh.
func (r *round) firstRoot() error {
	spec := &r.mesh.Spec.Trust
	var root *trust.Authority
	switch {
	case spec.Mode != meshv1alpha1.TrustExternal:
		var err error
		if root, err = trust.NewRoot(r.certified(), spec.RootGeneration, r.now, trust.RootLifetime); err != nil {
			return err
		}
	case r.external != nil && r.firstSigners():
		root = r.external.Root
	default:
		return nil // the problem is known
	}
	r.store = trust.NewStore(root)
	r.store.State.Generation = spec.RootGeneration
	return nil
}

// begin starts the change to another root, if one is wanted and none is under way.
func (r *round) begin() error {
	state, spec := &r.store.State, &r.mesh.Spec.Trust
	if spec.Mode == meshv1alpha1.TrustExternal {
		return r.beginExternal()
	}
	if spec.RootGeneration < state.Generation {
		r.notice = fmt.Sprintf("the mesh has root %d already, and spec.trust.rootGeneration is %d; for another root write %d", state.Generation, spec.RootGeneration, state.Generation+1)
	}
	if spec.RootGeneration <= state.Generation || state.Stage != trust.Steady {
		return nil
	}
	root, err := trust.NewRoot(r.certified(), state.Generation+1, r.now, trust.RootLifetime)
	if err != nil {
		return err
	}
	return r.change(root)
}

func (r *round) change(root *trust.Authority) error {
	store, err := r.store.Begin(root)
	if err != nil {
		return fmt.Errorf("mesh %s: %w", r.mesh.Name, err)
	}
	r.store = store
	return nil
}

// expectEnd says in time that the root ends: a change of it takes days.
func (r *round) expectEnd() {
	root, err := r.store.Signer()
	if err != nil {
		return // whoever signs finds that
	}
	end := root.Certificate.NotAfter
	warn := end.Add(-2 * r.mesh.Spec.Trust.IntermediateLifetime.Duration)
	if half := root.Certificate.NotBefore.Add(end.Sub(root.Certificate.NotBefore) / 2); warn.Before(half) {
		warn = half // a root that lives shorter than its intermediates would
	}
	if r.now.Before(warn) || r.store.State.Stage != trust.Steady {
		r.atUnlessPast(warn)
		return
	}
	wayOut := fmt.Sprintf("raise spec.trust.rootGeneration to %d", r.store.State.Generation+1)
	if r.mesh.Spec.Trust.Mode == meshv1alpha1.TrustExternal {
		wayOut = "put the next one into the Secret of spec.trust.secretRef"
	}
	r.notice = fmt.Sprintf("the root of the mesh ends on %s, and everything under it with it: %s", end.UTC().Format(time.RFC3339), wayOut)
}

// reports are what clusters have in effect, for the barriers of a change.
func (r *round) reports() []trust.Report {
	var reports []trust.Report
	for _, c := range r.clusters {
		given := c.works[PartCA] != nil && (c.phase == active || c.phase == leaving && !c.clean)
		_, trouble := c.trouble(meshv1alpha1.ConditionCASigns)
		if effect := effectOf(c.status()); effect != nil && c.works[PartCA] == nil && r.own(c) {
			given, trouble = true, cmp.Or(trouble, ownCA(effect, r.store.State.Want()))
		}
		reports = append(reports, trust.Report{Cluster: c.name, Given: given, Lost: c.lost != nil, Effect: effectOf(c.status()), Trouble: trouble})
	}
	return reports
}

func effectOf(status *meshv1alpha1.MeshMemberStatus) *trust.Effect {
	if status == nil || status.CA == nil {
		return nil
	}
	return &trust.Effect{
		Roots:        fingerprints(status.CA.Roots),
		Signer:       trust.Fingerprint(status.CA.Signer),
		Intermediate: trust.Fingerprint(status.CA.Intermediate),
	}
}

func fingerprints(texts []string) []trust.Fingerprint {
	var all []trust.Fingerprint
	for _, text := range texts {
		all = append(all, trust.Fingerprint(text))
	}
	return all
}

func texts(fingerprints []trust.Fingerprint) []string {
	var all []string
	for _, f := range fingerprints {
		all = append(all, string(f))
	}
	return all
}

// newSigner makes the intermediate of a cluster, or takes the one that is given.
func (r *round) newSigner(c *cluster) (*trust.Intermediate, error) {
	want := r.store.State.Want().Signer
	given, err := r.givenSigner(c)
	switch {
	case err != nil:
		return nil, err
	case given != nil && given.Root == want:
		return given, nil
	}
	root, err := r.store.Root(want)
	if err != nil {
		return nil, err
	}
	signer, err := trust.NewIntermediate(root, r.certified(), c.name, r.now, r.mesh.Spec.Trust.IntermediateLifetime.Duration)
	if errors.Is(err, trust.ErrNoKey) {
		wayOut := fmt.Sprintf("raise spec.trust.rootGeneration to %d for a root that is made here", r.store.State.Generation+1)
		if r.mesh.Spec.Trust.Mode == meshv1alpha1.TrustExternal {
			wayOut = fmt.Sprintf("put %s into the Secret of spec.trust.secretRef, or intermediates under this root", trust.RootKeyKey)
		}
		err = fmt.Errorf("%w: root %s came from a Secret without its key; %s", err, want.Short(), wayOut)
	}
	return signer, err
}

// storeWrite is the write of the roots, nil when it is as it should be.
func (r *round) storeWrite() (*Write, error) {
	if r.store == nil || r.deleting() {
		return nil, nil
	}
	data, err := r.store.Encode()
	if err != nil {
		return nil, fmt.Errorf("mesh %s: %w", r.mesh.Name, err)
	}
	was := r.picture.Trust
	if was == nil {
		return &Write{Verb: Create, Object: &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: names.SystemNamespace, Name: meshv1alpha1.TrustSecretName(r.mesh.Name),
				Labels: map[string]string{meshv1alpha1.MeshLabel: r.mesh.Name},
			},
			Type: meshv1alpha1.TrustSecretType,
			Data: data,
		}}, nil
	}
	if sameData(was.Data, data) {
		return nil, nil
	}
	secret := was.DeepCopy()
	secret.Data = data
	return &Write{Verb: Update, Object: secret, Was: was}, nil
}

func sameData(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for key, text := range a {
		if other, ok := b[key]; !ok || string(other) != string(text) {
			return false
		}
	}
	return true
}
