package remotesecret

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

// MintAt is when the next token is made: at half of the life of the last one. The
// API server may have made that shorter than was asked for, so it counts what was
// given.
func MintAt(issued, expires time.Time) time.Time { return issued.Add(expires.Sub(issued) / 2) }

// Mint says whether an agent makes a new token now, and if not, when. A token that
// lives on for longer than is wanted now is replaced at once. Zero times: there is
// no token yet.
func Mint(issued, expires time.Time, ttl time.Duration, now time.Time) (mint bool, at time.Time) {
	at = MintAt(issued, expires)
	if expires.IsZero() || !now.Before(at) || expires.Sub(now) > ttl+ttl/10 {
		return true, now
	}
	return false, at
}

// Generation is one token of a peer, and the remote secrets made with it.
type Generation struct {
	// Token is the hash of the token.
	Token string `json:"token"`
	// Secret is the hash of the kubeconfig with it.
	Secret string `json:"secret"`
	// Expires is when the token ends.
	Expires time.Time `json:"expires"`
}

// State is what has to be remembered of the tokens of a peer: those that may be in
// use, the newest last.
type State struct {
	Generations []Generation `json:"generations,omitempty"`
}

// ReaderReport is what is known of one cluster that reads the peer.
type ReaderReport struct {
	// Cluster is its name.
	Cluster string
	// Known is false when the cluster has not reported, or nothing is heard of it:
	// its istiod may then use any token it was ever given.
	Known bool
	// Secret is the hash of the kubeconfig that is in the cluster; empty for none.
	Secret string
	// Synced is true when its istiod said that it is synced with the peer, long
	// enough after Secret was there that it meant Secret and not the one before.
	Synced bool
}

// Plan follows from a State and what readers report.
type Plan struct {
	// InUse are the tokens that must not be ended, by hash.
	InUse []string
	// Waiting are the readers that do not use the newest token yet, in order.
	Waiting []string
	// Warning says, if not empty, that readers will lose the peer, and what to do.
	Warning string
}

// Rotate takes a new token in, if newest is one, and says which tokens have to
// stay valid. All readers are to be given newest. A token is let go of once it has
// ended, or every reader is synced with a later one: istiod goes on with the old
// one until the new one works.
func Rotate(state State, newest Generation, readers []ReaderReport, now time.Time) (State, Plan) {
	generations := slices.Clone(state.Generations)
	if at := slices.IndexFunc(generations, func(g Generation) bool { return g.Token == newest.Token }); at >= 0 {
		generations = append(slices.Delete(generations, at, at+1), newest)
	} else {
		generations = append(generations, newest)
	}
	last := len(generations) - 1
	oldest := last // the oldest generation that a reader may use
	var plan Plan
	for _, reader := range readers {
		first := firstInUse(generations, &reader)
		if first < last {
			plan.Waiting = append(plan.Waiting, reader.Cluster)
		}
		oldest = min(oldest, first)
	}
	slices.Sort(plan.Waiting)
	kept := State{}
	for i, g := range generations {
		if i == last || (i >= oldest && now.Before(g.Expires)) {
			kept.Generations = append(kept.Generations, g)
			plan.InUse = append(plan.InUse, g.Token)
		}
	}
	if !now.Before(newest.Expires) {
		plan.Warning = fmt.Sprintf("the token of the reader has ended on %s and there is no newer one; look whether the agent of that cluster runs and may create serviceaccounts/token in istio-system", newest.Expires.UTC().Format(time.RFC3339))
	}
	return kept, plan
}

// firstInUse is the oldest generation that a reader may use.
func firstInUse(generations []Generation, reader *ReaderReport) int {
	last := len(generations) - 1
	if !reader.Known {
		return 0
	}
	if reader.Secret == "" {
		return last // it uses none, and gets the newest
	}
	at := slices.IndexFunc(generations, func(g Generation) bool { return g.Secret == reader.Secret })
	switch {
	case at < 0:
		return 0 // made of a token that is not remembered: nothing is known of it
	case reader.Synced:
		return at
	default:
		return 0 // istiod goes on with whatever it had before
	}
}

// MinVersion is the least version of istiod with which tokens can be changed:
// 1.30.0 to 1.30.3 lose the peer when the remote secret changes.
const MinVersion = "1.31.0"

// CheckVersion says why an istiod cannot read peers whose tokens change; empty when
// it can. A version that is no number, as of a build of one's own, is let through.
func CheckVersion(text string) string {
	have, err := version.ParseGeneric(text)
	if err != nil || have.AtLeast(version.MustParseGeneric(MinVersion)) {
		return ""
	}
	return fmt.Sprintf("istiod is %s; before %s it can lose a peer when the peer's token changes. Upgrade istiod", text, MinVersion)
}
