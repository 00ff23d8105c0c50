package claim

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// Specificity tells how narrowly a selector chose a template. Higher is
// narrower.
type Specificity int

const (
	// NotSelected is the zero value.
	NotSelected Specificity = iota
	// ByKind is a selector with nothing but a kind (and maybe a namespace).
	ByKind
	// ByLabel is a selector with a labelSelector.
	ByLabel
	// ByName is a selector with a name. A labelSelector beside it is ignored,
	// as the API has it.
	ByName
)

// Candidate is a policy that selects a template.
type Candidate struct {
	Policy policyv1alpha1.Policy
	// Specificity is that of the narrowest of the policy's selectors that
	// chose the template.
	Specificity Specificity
}

// Compare orders the candidates for one template: negative when a goes before b.
// It is a strict total order for policies that can select the same template,
// since two PropagationPolicies then share a namespace.
func Compare(a, b Candidate) int {
	return cmp.Or(
		cmp.Compare(scopeRank(a.Policy), scopeRank(b.Policy)),
		-cmp.Compare(a.Policy.GetSpec().ExplicitPriority(), b.Policy.GetSpec().ExplicitPriority()),
		-cmp.Compare(a.Specificity, b.Specificity),
		cmp.Compare(a.Policy.GetName(), b.Policy.GetName()),
	)
}

func scopeRank(p policyv1alpha1.Policy) int {
	if p.GetNamespace() != "" {
		return 0
	}
	return 1
}

// Decide picks the winner among the candidates for one template. current is the
// template's claim, nil when it has none. candidates need not be sorted. With no
// winner the answer is nil.
func Decide(candidates []Candidate, current *Claim) policyv1alpha1.Policy {
	holder := holderAmong(candidates, current)
	var best *Candidate
	for i := range candidates {
		c := &candidates[i]
		if holder != nil && c != holder && !preempts(c.Policy, holder.Policy) {
			continue
		}
		switch {
		case best == nil, best == holder && c != holder:
			// Whoever may preempt goes before the holder, also when the
			// order among equals would have it the other way.
			best = c
		case c == holder:
		case Compare(*c, *best) < 0:
			best = c
		}
	}
	if best == nil {
		return nil
	}
	return best.Policy
}

func holderAmong(candidates []Candidate, current *Claim) *Candidate {
	if current == nil {
		return nil
	}
	for i := range candidates {
		if current.HeldBy(candidates[i].Policy) {
			return &candidates[i]
		}
	}
	return nil
}

// preempts tells whether p may take a template from the policy that holds it.
func preempts(p, holder policyv1alpha1.Policy) bool {
	if p.GetSpec().Preemption != policyv1alpha1.PreemptAlways {
		return false
	}
	if scopeRank(p) != scopeRank(holder) {
		return scopeRank(p) < scopeRank(holder)
	}
	return p.GetSpec().ExplicitPriority() > holder.GetSpec().ExplicitPriority()
}

// selector is one compiled resourceSelector of a policy.
type selector struct {
	groupKind schema.GroupKind
	namespace string // empty: any
	name      string
	labels    labels.Selector // nil: any
	// pair is a label that a template must have to be selected, for the index;
	// an empty key when there is none.
	pair [2]string
}

// compile turns a policy's selectors into a form that is quick to ask. A
// selector that cannot be understood selects nothing: validation refuses it, and
// an older one in the store must not take templates at random.
func compile(p policyv1alpha1.Policy) []selector {
	var out []selector
	for _, rs := range p.GetSpec().ResourceSelectors {
		gv, err := schema.ParseGroupVersion(rs.APIVersion)
		if err != nil {
			continue
		}
		s := selector{
			groupKind: schema.GroupKind{Group: gv.Group, Kind: rs.Kind},
			namespace: rs.Namespace,
			name:      rs.Name,
		}
		if ns := p.GetNamespace(); ns != "" {
			if s.namespace != "" && s.namespace != ns {
				continue // a PropagationPolicy reaches its own namespace only
			}
			s.namespace = ns
		}
		if s.name == "" && rs.LabelSelector != nil {
			if s.labels, err = metav1.LabelSelectorAsSelector(rs.LabelSelector); err != nil {
				continue
			}
			s.pair = requiredPair(rs.LabelSelector)
		}
		out = append(out, s)
	}
	return out
}

// requiredPair picks, of the labels a selector asks for by exact value, the one
// with the smallest key.
func requiredPair(ls *metav1.LabelSelector) (pair [2]string) {
	for k, v := range ls.MatchLabels {
		if pair[0] == "" || k < pair[0] {
			pair = [2]string{k, v}
		}
	}
	return pair
}

func (s *selector) selects(t Template) Specificity {
	if s.groupKind != t.GroupKind || s.namespace != "" && s.namespace != t.Namespace {
		return NotSelected
	}
	switch {
	case s.name != "":
		if s.name == t.Name {
			return ByName
		}
		return NotSelected
	case s.labels != nil:
		if s.labels.Matches(t.Labels) {
			return ByLabel
		}
		return NotSelected
	}
	return ByKind
}

// Selects tells how narrowly a policy selects a template; NotSelected when not,
// or when the policy is being deleted.
func Selects(p policyv1alpha1.Policy, t Template) Specificity {
	if !p.GetDeletionTimestamp().IsZero() {
		return NotSelected
	}
	best := NotSelected
	for _, s := range compile(p) {
		best = max(best, s.selects(t))
	}
	return best
}

// Match is Decide over all the given policies. It looks at every one of them;
// Index gives the same answer quicker.
func Match(t Template, policies []policyv1alpha1.Policy, current *Claim) (policyv1alpha1.Policy, bool) {
	var candidates []Candidate
	for _, p := range policies {
		if s := Selects(p, t); s != NotSelected {
			candidates = append(candidates, Candidate{Policy: p, Specificity: s})
		}
	}
	winner := Decide(candidates, current)
	return winner, winner != nil
}
