package link

import (
	"fmt"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// Result is the state of one ordered pair.
type Result struct {
	// Phase sums it up.
	Phase meshv1alpha1.LinkPhase
	// Step is the first that is missing; empty when none is.
	Step meshv1alpha1.LinkStep
	// Reason is one CamelCase word for why.
	Reason string
	// Message says what is in the way and what to do.
	Message string
	// Secret says whether From is to have the remote secret for To.
	Secret bool
	// Recheck is when something changes if nothing else does; nil for never.
	Recheck *time.Time
}

// weight says what a missing step means for a remote secret that is there.
type weight int

const (
	// passed: the step is not missing.
	passed weight = iota
	// brief: the step was there a moment ago, and may just be looked at anew. The
	// link stays ready.
	brief
	// pending: the step is missing, or not known. The secret is not written, but
	// not taken away either.
	pending
	// failing: the step is missing since a while. After the hold time the secret is
	// taken away.
	failing
	// wrong: with the secret traffic would go astray. It is taken away at once.
	wrong
)

// grace is how long a step may be missing that an agent proves, in a link that was
// ready: when a remote secret changes istiod says for a moment that it is not synced.
const grace = time.Minute

// finding is what was found about a step.
type finding struct {
	weight  weight
	reason  string
	message string
	since   time.Time // of failing and brief
}

var ok = finding{}

func missing(w weight, reason, format string, args ...any) finding {
	return finding{weight: w, reason: reason, message: fmt.Sprintf(format, args...)}
}

func failingSince(since time.Time, reason, format string, args ...any) finding {
	f := missing(failing, reason, format, args...)
	f.since = since
	return f
}

// step is one thing that a link needs.
type step struct {
	name meshv1alpha1.LinkStep
	find func(p *Pair, now time.Time) finding
	// networks says that the step is only for two networks.
	networks bool
}

// before are the steps without which there is no remote secret, in order.
var before = []step{
	{name: meshv1alpha1.StepMember, find: member},
	{name: meshv1alpha1.StepCA, find: ca},
	{name: meshv1alpha1.StepNetwork, find: network},
	{name: meshv1alpha1.StepGateway, find: gateway, networks: true},
	{name: meshv1alpha1.StepAddress, find: address, networks: true},
	{name: meshv1alpha1.StepProbe, find: probe, networks: true},
	{name: meshv1alpha1.StepToken, find: token},
}

// after are the steps that show that it works, in order.
var after = []step{
	{name: meshv1alpha1.StepSecret, find: secret},
	{name: meshv1alpha1.StepSynced, find: tried(meshv1alpha1.StepSynced)},
	{name: meshv1alpha1.StepGatewayKnown, find: tried(meshv1alpha1.StepGatewayKnown), networks: true},
	{name: meshv1alpha1.StepEndpoints, find: tried(meshv1alpha1.StepEndpoints)},
}

// Evaluate says how a pair stands. Hold is how long something may be missing that
// was there before the pair is withdrawn.
func Evaluate(p *Pair, hold time.Duration, now time.Time) Result {
	result := Result{Phase: meshv1alpha1.LinkPending, Secret: true}
	if withdrawn(p, hold, now, &result) {
		return result
	}
	flat := p.flat()
	for _, s := range before {
		if s.networks && flat {
			continue
		}
		found := s.find(p, now)
		switch found.weight {
		case passed:
			continue
		case brief:
			result.look(found.since.Add(grace))
			continue
		case pending, failing, wrong:
		}
		result.missing(s.name, found)
		switch since := later(found.since, p.heard()); {
		case !p.Written:
			result.Secret = false
		case p.From.Lost != nil:
			// It would not hear of it, and is judged anew when it is back.
		case found.weight == wrong:
			result.Secret = false
		case found.weight == failing:
			result.until(since.Add(hold), now)
		}
	}
	if result.Step == "" {
		for _, s := range after {
			if s.networks && flat {
				continue
			}
			found := s.find(p, now)
			if found.weight == brief {
				result.look(found.since.Add(grace))
				continue
			}
			if found.weight != passed {
				result.missing(s.name, found)
				break
			}
		}
	}
	if result.Step == "" {
		result.Phase = meshv1alpha1.LinkReady
	}
	if !result.Secret {
		result.Recheck = nil
	}
	return result
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// look has the pair looked at again at a time.
func (r *Result) look(at time.Time) {
	if r.Recheck == nil || at.Before(*r.Recheck) {
		r.Recheck = &at
	}
}

// missing keeps the first step that is.
func (r *Result) missing(name meshv1alpha1.LinkStep, f finding) {
	if r.Step == "" {
		r.Step, r.Reason, r.Message = name, f.reason, f.message
	}
}

// until takes the secret away at a time.
func (r *Result) until(end, now time.Time) {
	switch {
	case !now.Before(end):
		r.Secret = false
	default:
		r.look(end)
	}
}

// withdrawn says whether no traffic is to go to To whatever the steps say.
func withdrawn(p *Pair, hold time.Duration, now time.Time, result *Result) bool {
	var reason, message string
	switch {
	case p.From.Name == p.To.Name:
		reason, message = "SameCluster", "a cluster needs no link to itself"
	case p.To.Leaving:
		reason, message = "Leaving", fmt.Sprintf("cluster %s leaves the mesh", p.To.Name)
	case p.From.Leaving:
		reason, message = "Leaving", fmt.Sprintf("cluster %s leaves the mesh", p.From.Name)
	case p.To.Lost != nil && p.Written && (p.From.Lost != nil || p.Disrupted):
		return false
	case p.To.Lost != nil:
		end := later(*p.To.Lost, p.From.Heard).Add(hold)
		if p.Written && now.Before(end) {
			result.until(end, now)
			return false
		}
		reason = "ClusterLost"
		message = fmt.Sprintf("nothing is heard of cluster %s, which counts as lost since %s; it comes back by itself once its agent reports", p.To.Name, p.To.Lost.UTC().Format(time.RFC3339))
	default:
		return false
	}
	*result = Result{Phase: meshv1alpha1.LinkWithdrawn, Step: meshv1alpha1.StepMember, Reason: reason, Message: message}
	return true
}
