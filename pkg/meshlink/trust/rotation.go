package trust

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Stage is where a mesh stands in a change of its root.
type Stage string

const (
	// Steady means one root, and no change of it.
	Steady Stage = "Steady"
	// TrustBoth is the first step: both roots are trusted, the old one signs.
	TrustBoth Stage = "TrustBoth"
	// SignNew is the second: both roots are trusted, the new one signs.
	SignNew Stage = "SignNew"
	// TrustNew is the third: the new root alone.
	TrustNew Stage = "TrustNew"
)

// step of a change, for messages: "1 of 3".
func (s Stage) step() string {
	return map[Stage]string{TrustBoth: "1 of 3", SignNew: "2 of 3", TrustNew: "3 of 3"}[s]
}

// ErrRotating means that a change of the root cannot begin, because one is under
// way.
var ErrRotating = errors.New("a change of the root is under way")

// State is what has to be remembered of a change of the root. It is stored before
// anything is written that follows from it, so that a restart goes on where it was.
type State struct {
	// Generation counts the roots of the mesh, the one it changes to included.
	Generation int64 `json:"generation"`
	// Stage is what all clusters are brought to.
	Stage Stage `json:"stage"`
	// Current is the root before the change, or the only one.
	Current Fingerprint `json:"current"`
	// Next is the root after the change. Empty in stage Steady.
	Next Fingerprint `json:"next,omitempty"`
	// Settling is since when every cluster has the stage in effect.
	Settling *time.Time `json:"settling,omitempty"`
	// Former are roots that the mesh has had before Current. What is under them was
	// made by this mesh, and is not trusted any more.
	Former []Fingerprint `json:"former,omitempty"`
}

// Want is what a cluster has to have in effect.
type Want struct {
	// Roots to trust, in this order.
	Roots []Fingerprint
	// Signer is the root under which the cluster's intermediate is.
	Signer Fingerprint
}

// NewState is the state of a mesh with its first root.
func NewState(root Fingerprint) State {
	return State{Generation: 1, Stage: Steady, Current: root}
}

// Begin starts the change to another root. ErrRotating when one is under way.
func (s State) Begin(next Fingerprint) (State, error) {
	if s.Stage != Steady {
		return s, fmt.Errorf("root %s: %w: that to %s is in step %s; wait until it is through", next.Short(), ErrRotating, s.Next.Short(), s.Stage.step())
	}
	if next == s.Current {
		return s, nil
	}
	return State{Generation: s.Generation + 1, Stage: TrustBoth, Current: s.Current, Next: next, Former: s.Former}, nil
}

// Knows says whether a root is, or was, one of the mesh's.
func (s State) Knows(root Fingerprint) bool {
	return root != "" && (root == s.Current || root == s.Next || slices.Contains(s.Former, root))
}

// Want is what every cluster has to have in effect in this state.
func (s State) Want() Want {
	switch s.Stage {
	case TrustBoth:
		return Want{Roots: []Fingerprint{s.Current, s.Next}, Signer: s.Current}
	case SignNew:
		return Want{Roots: []Fingerprint{s.Current, s.Next}, Signer: s.Next}
	case TrustNew:
		return Want{Roots: []Fingerprint{s.Next}, Signer: s.Next}
	default:
		return Want{Roots: []Fingerprint{s.Current}, Signer: s.Current}
	}
}

// next is the state after the barrier of this one.
func (s State) next() State {
	s.Settling = nil
	switch s.Stage {
	case TrustBoth:
		s.Stage = SignNew
	case SignNew:
		s.Stage = TrustNew
	case TrustNew:
		former := slices.DeleteFunc(slices.Clone(s.Former), func(f Fingerprint) bool { return f == s.Next })
		s.Former = append(former, s.Current)
		s.Stage, s.Current, s.Next = Steady, s.Next, ""
	}
	return s
}

// Effect is what was seen to be in effect in a cluster.
type Effect struct {
	// Roots that istiod gives to workloads, in its order.
	Roots []Fingerprint
	// Signer is the root to which istiod's own certificate leads.
	Signer Fingerprint
	// Intermediate is the certificate that signed istiod's own.
	Intermediate Fingerprint
}

// has says whether what is wanted is in effect.
func (e *Effect) has(want Want) bool {
	return e != nil && slices.Equal(e.Roots, want.Roots) && e.Signer == want.Signer
}

// Report is what is known of one cluster of the mesh.
type Report struct {
	// Cluster is its name.
	Cluster string
	// Given is true once a CA of this mesh was handed to the cluster. Before
	// that it trusts nobody and is trusted by nobody, and holds nothing up.
	Given bool
	// Lost is true while nothing is heard of the cluster.
	Lost bool
	// Effect is what it last reported; nil when it never did.
	Effect *Effect
	// Trouble says, if not empty, why there is no Effect, or which of several istiods are
	// behind.
	Trouble string
}

// Advance goes on to the next stage if the barrier of this one is open: every
// cluster that was given a CA has the stage in effect, and that has been so for
// settle, the longest lifetime of workload certificates in the mesh. After that
// time no workload has roots or a certificate from before the stage. While it is not
// known what a cluster has in effect the barrier stays shut, and the time goes on; it
// begins anew when something else is in effect. It goes on by one stage at most.
func Advance(s State, reports []Report, now time.Time, settle time.Duration) (State, Barrier) {
	barrier := Barrier{Stage: s.Stage}
	if s.Stage == Steady {
		return s, barrier
	}
	want, other := s.Want(), false
	for i := range reports {
		if r := &reports[i]; r.Given && !r.Effect.has(want) {
			barrier.Holding = append(barrier.Holding, holder(s, r))
			other = other || r.Effect != nil
		}
	}
	slices.SortFunc(barrier.Holding, func(a, b Holder) int { return cmp.Compare(a.Cluster, b.Cluster) })
	switch {
	case len(barrier.Holding) > 0:
		if other {
			s.Settling = nil
		}
		return s, barrier
	case s.Stage == TrustNew:
		// Nothing is taken away any more that a workload could still need.
		return s.next(), barrier
	case s.Settling == nil || s.Settling.After(now): // a clock was ahead
		s.Settling = &now
	}
	end := s.Settling.Add(settle)
	if now.Before(end) {
		barrier.Until = &end
		return s, barrier
	}
	return s.next(), barrier
}

// Accepts says whether workloads of a cluster and of all others trust each other
// with what the cluster has in effect: this stage, or the one before, which the
// cluster may still be leaving.
func (s State) Accepts(effect *Effect) bool {
	return effect.has(s.Want()) || effect.has(s.before())
}

// before is what was wanted in the stage before this one.
func (s State) before() Want {
	switch s.Stage {
	case TrustBoth:
		s.Stage = Steady
	case SignNew:
		s.Stage = TrustBoth
	case TrustNew:
		s.Stage = SignNew
	}
	return s.Want()
}
