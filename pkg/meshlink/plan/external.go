package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// externalPoll is how often the Secret of an external CA is looked at: nobody
// watches Secrets.
const externalPoll = time.Minute

// externalProblem says what is wrong with the Secret of an external CA, and that it
// does no harm.
func (r *round) externalProblem(format string, args ...any) problem {
	ref := r.mesh.Spec.Trust.SecretRef
	return problem{reasonExternal, fmt.Sprintf("spec.trust.secretRef: Secret %s/%s ", ref.Namespace, ref.Name) + fmt.Sprintf(format, args...) +
		". It is looked at every minute; until it is right clusters keep what they have"}
}

// readExternal reads the Secret of mode External, as far as it is about the root.
func (r *round) readExternal() {
	if r.mesh.Spec.Trust.SecretRef == nil {
		r.problem = problem{reasonExternal, "spec.trust.secretRef is empty; name a Secret with " + trust.RootCertKey}
		return
	}
	if r.picture.External == nil {
		r.problem = r.externalProblem("does not exist; create it with %s and %s, or with intermediates of the clusters in place of the key", trust.RootCertKey, trust.RootKeyKey)
		return
	}
	external, err := trust.ParseExternal(r.picture.External.Data, nil, r.now)
	if err != nil {
		r.problem = r.externalProblem("cannot be used: %v; put right what it has there", err)
		return
	}
	r.external = external
}

// beginExternal takes in what the Secret of mode External has for a root, and begins the
// change to it if it is another one.
func (r *round) beginExternal() error {
	if r.external == nil {
		return nil // the problem is known
	}
	state, root := &r.store.State, r.external.Root
	current := r.store.Roots[state.Current]
	switch fingerprint := root.Fingerprint(); {
	case fingerprint != state.Current && current != nil && bytes.Equal(current.Certificate.RawSubjectPublicKeyInfo, root.Certificate.RawSubjectPublicKeyInfo):
		r.problem = r.externalProblem("has another certificate of the root %s with the same key; nobody could tell which of the two a certificate is under. Make the next root with a key of its own", state.Current.Short())
	case fingerprint == state.Current || fingerprint == state.Next:
		// Its key may have been added, or taken away.
		with := *r.store
		with.Roots = map[trust.Fingerprint]*trust.Authority{}
		for f, known := range r.store.Roots {
			with.Roots[f] = known
		}
		with.Roots[fingerprint] = root
		r.store = &with
	case state.Stage != trust.Steady:
		r.problem = r.externalProblem("has root %s now, while the change to %s is under way; put that one back, or wait until it is through", fingerprint.Short(), state.Next.Short())
	default:
		if lacking := r.lacking(); len(lacking) > 0 {
			// The change would come to a halt where the new root is to sign.
			r.problem = r.externalProblem("has another root, %s, and the change to it does not begin, for it cannot be signed under in every cluster: %s. Put these right, or put the root from before back", fingerprint.Short(), strings.Join(lacking, "; "))
			return nil
		}
		switch used, known := r.used(state.Current); {
		case used:
			return r.change(root)
		case known:
			store, err := r.store.Replace(root)
			if err != nil {
				return fmt.Errorf("mesh %s: %w", r.mesh.Name, err)
			}
			r.store = store
		}
	}
	return nil
}

// used says whether a cluster has a CA under a root, or is to get one. Known is false while
// a cluster that is heard of has not said what it has. The roots of a Mesh outlive it, and
// one that is made anew under its name may be told another.
func (r *round) used(root trust.Fingerprint) (used, known bool) {
	known = true
	for _, c := range r.clusters {
		status := c.status()
		effect := effectOf(status)
		switch {
		case c.works[PartCA] != nil, effect != nil && slices.Contains(effect.Roots, root):
			return true, true
		case status != nil && status.CACerts != nil:
			if slices.Contains(status.CACerts.Roots, string(root)) {
				return true, true
			}
		case c.phase == active && c.lost == nil:
			known = false
		}
	}
	return false, known
}

// firstSigners says whether a mesh can begin with the root of mode External: when at
// least one cluster gets an intermediate under it, or has one. A root that was in force,
// if only by name, is let go of by a change that takes days.
func (r *round) firstSigners() bool {
	if r.external.Root.Key != nil {
		return true
	}
	var why string
	for _, c := range r.clusters {
		if c.phase != active {
			continue
		}
		_, err := trust.ParseExternal(r.picture.External.Data, []string{c.name}, r.now)
		status := c.status()
		if err == nil || status != nil && status.CACerts != nil && slices.Contains(status.CACerts.Roots, string(r.external.Root.Fingerprint())) {
			return true
		}
		if why == "" {
			why = err.Error()
		}
	}
	if why != "" {
		r.problem = r.externalProblem("has an intermediate for none of the clusters: %s", why)
	}
	return false
}

// lacking says why clusters that have a CA of the mesh would get none under the root of
// mode External; empty when all would.
func (r *round) lacking() (lacking []string) {
	if r.external.Root.Key != nil {
		return nil
	}
	for _, c := range r.clusters {
		if c.phase != active || c.works[PartCA] == nil {
			continue
		}
		if _, err := trust.ParseExternal(r.picture.External.Data, []string{c.name}, r.now); err != nil {
			lacking = append(lacking, err.Error())
		}
	}
	return lacking
}

// givenSigner is the intermediate that the Secret of mode External has for a
// cluster; nil when the root's key is there instead.
func (r *round) givenSigner(c *cluster) (*trust.Intermediate, error) {
	if r.external == nil || r.external.Root.Key != nil || r.mesh.Spec.Trust.Mode != meshv1alpha1.TrustExternal {
		return nil, nil
	}
	external, err := trust.ParseExternal(r.picture.External.Data, []string{c.name}, r.now)
	if err != nil {
		ref := r.mesh.Spec.Trust.SecretRef
		return nil, fmt.Errorf("spec.trust.secretRef: Secret %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return external.Intermediates[c.name], nil
}
