package trust

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// HoldReason says in one word why a cluster holds a barrier.
type HoldReason string

const (
	// HoldLost means: nothing is heard of the cluster.
	HoldLost HoldReason = "ClusterLost"
	// HoldSilent means: the cluster has not reported what is in effect.
	HoldSilent HoldReason = "NotReported"
	// HoldRoots means: other roots are in effect than the wanted ones.
	HoldRoots HoldReason = "RootsNotInEffect"
	// HoldUnloadable means: istiod will not load the wanted roots without a restart.
	HoldUnloadable HoldReason = "RootsNotLoadable"
	// HoldSigner means: the roots are in effect, but another root signs.
	HoldSigner HoldReason = "SignerNotInEffect"
)

// Barrier says what the next stage of a change of the root waits for.
type Barrier struct {
	// Stage that has to be in effect.
	Stage Stage
	// Holding are the clusters in which it is not, by name.
	Holding []Holder
	// Until is when the last workload has what is in effect. Nil while clusters
	// hold the barrier, and when it is open.
	Until *time.Time
}

// Holder is a cluster that holds a barrier.
type Holder struct {
	Cluster string
	Reason  HoldReason
	// Message says what is in the way in this cluster and what to do about it.
	Message string
}

// Message tells people what a change of the root waits for; empty when it waits
// for nothing.
func (b Barrier) Message() string {
	switch {
	case len(b.Holding) > 0:
		all := make([]string, 0, len(b.Holding))
		for _, h := range b.Holding {
			all = append(all, h.Message)
		}
		return fmt.Sprintf("change of the root, step %s: %s. Until then all clusters stay at this step, in which they trust each other", b.Stage.step(), strings.Join(all, "; "))
	case b.Until != nil:
		return fmt.Sprintf("change of the root, step %s is in effect everywhere; the next begins at %s, when the last workload has renewed its certificate", b.Stage.step(), b.Until.UTC().Format(time.RFC3339))
	default:
		return ""
	}
}

func holder(s State, r *Report) Holder {
	want := s.Want()
	var text string
	reason := HoldRoots
	switch {
	case r.Lost:
		reason = HoldLost
		text = "nothing is heard of it; bring it back, or take it out of the mesh (spec.clusterAffinity) and it joins anew when it is back"
	case r.Effect == nil && r.Trouble != "":
		reason, text = HoldSilent, r.Trouble
	case r.Effect == nil:
		reason = HoldSilent
		text = "it has not reported which roots its istiod has in effect; look at the conditions of the cluster in this Mesh"
	case !slices.Equal(r.Effect.Roots, want.Roots):
		text = fmt.Sprintf("its istiod has %s in effect and not %s; it loads another root only with ISTIO_MULTIROOT_MESH=true: set that, or restart istiod there", Names(r.Effect.Roots), Names(want.Roots))
		if !Loadable(r.Effect.Roots, want.Roots) {
			reason = HoldUnloadable
			text = fmt.Sprintf("its istiod has %s in effect, which neither contains %s nor is contained in it, so it will not load that; restart istiod there", Names(r.Effect.Roots), Names(want.Roots))
		}
	default:
		reason = HoldSigner
		text = fmt.Sprintf("its istiod still signs under root %s and not %s; look for \"Plug-in CA\" in istiod's log, or restart it", r.Effect.Signer.Short(), want.Signer.Short())
	}
	if r.Effect != nil && r.Trouble != "" && !r.Lost {
		text = r.Trouble // the others have it
	}
	return Holder{Cluster: r.Cluster, Reason: reason, Message: "cluster " + r.Cluster + ": " + text}
}

// Loadable says whether an istiod with ISTIO_MULTIROOT_MESH=true that has some
// roots in effect would load others without a restart: one set must contain the
// other.
func Loadable(inEffect, wanted []Fingerprint) bool {
	within := func(a, b []Fingerprint) bool {
		return !slices.ContainsFunc(a, func(f Fingerprint) bool { return !slices.Contains(b, f) })
	}
	return len(inEffect) > 0 && len(wanted) > 0 && (within(inEffect, wanted) || within(wanted, inEffect))
}

// Names tells people which roots these are.
func Names(roots []Fingerprint) string {
	if len(roots) == 0 {
		return "no root"
	}
	all := make([]string, 0, len(roots))
	for _, r := range roots {
		all = append(all, r.Short())
	}
	return "root " + strings.Join(all, "+")
}
