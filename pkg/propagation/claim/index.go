package claim

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// Index finds the policies that select a template at a cost that depends on the
// template's labels and on the policies that come into question, not on how many
// others there are.
//
// Every selector is filed under one key: its kind and namespace, and then its
// name, or one of the labels it requires, or nothing. A lookup asks for the keys
// the template could be filed under.
//
// The zero value is ready to use. Safe for concurrent use.
type Index struct {
	mu       sync.RWMutex
	policies map[types.NamespacedName]*indexed
	byKey    map[indexKey]map[*indexed][]*selector
	kinds    map[schema.GroupKind]int
}

type indexed struct {
	policy    policyv1alpha1.Policy
	selectors []selector
}

type indexKey struct {
	groupKind  schema.GroupKind
	namespace  string // empty: selectors of any namespace
	name       string
	labelKey   string
	labelValue string
}

func (s *selector) key() indexKey {
	return indexKey{
		groupKind: s.groupKind, namespace: s.namespace, name: s.name,
		labelKey: s.pair[0], labelValue: s.pair[1],
	}
}

// Upsert adds a policy or replaces the one of the same scope and name. A policy
// that is being deleted is taken out. An older state of the same policy, which a
// watch that lags behind delivers, changes nothing.
func (x *Index) Upsert(p policyv1alpha1.Policy) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.policies[keyOf(p)]; ok && older(p, e.policy) {
		return
	}
	x.remove(keyOf(p))
	if !p.GetDeletionTimestamp().IsZero() {
		return
	}
	if x.policies == nil {
		x.policies = map[types.NamespacedName]*indexed{}
		x.byKey = map[indexKey]map[*indexed][]*selector{}
		x.kinds = map[schema.GroupKind]int{}
	}
	e := &indexed{policy: p, selectors: compile(p)}
	x.policies[keyOf(p)] = e
	for i := range e.selectors {
		s := &e.selectors[i]
		if x.byKey[s.key()] == nil {
			x.byKey[s.key()] = map[*indexed][]*selector{}
		}
		x.byKey[s.key()][e] = append(x.byKey[s.key()][e], s)
		x.kinds[s.groupKind]++
	}
}

func older(p, held policyv1alpha1.Policy) bool {
	if p.GetUID() != held.GetUID() {
		return false
	}
	version, err := strconv.ParseUint(p.GetResourceVersion(), 10, 64)
	if err != nil {
		return false
	}
	have, err := strconv.ParseUint(held.GetResourceVersion(), 10, 64)
	return err == nil && version < have
}

// Delete takes a policy out. namespace is empty for a ClusterPropagationPolicy.
func (x *Index) Delete(namespace, name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(types.NamespacedName{Namespace: namespace, Name: name})
}

func (x *Index) remove(key types.NamespacedName) {
	e, ok := x.policies[key]
	if !ok {
		return
	}
	delete(x.policies, key)
	for i := range e.selectors {
		s := &e.selectors[i]
		delete(x.byKey[s.key()], e)
		if len(x.byKey[s.key()]) == 0 {
			delete(x.byKey, s.key())
		}
		if x.kinds[s.groupKind]--; x.kinds[s.groupKind] == 0 {
			delete(x.kinds, s.groupKind)
		}
	}
}

// Get gives the policy that is filed under a scope and name.
func (x *Index) Get(namespace, name string) (policyv1alpha1.Policy, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e, ok := x.policies[types.NamespacedName{Namespace: namespace, Name: name}]
	if !ok {
		return nil, false
	}
	return e.policy, true
}

// Holder gives the policy that a claim names, if it is there and is the same
// incarnation.
func (x *Index) Holder(c Claim) (policyv1alpha1.Policy, bool) {
	p, ok := x.Get(c.Namespace, c.Name)
	if !ok || !c.HeldBy(p) {
		return nil, false
	}
	return p, true
}

// Kinds lists the kinds that any policy selects, in no order.
func (x *Index) Kinds() []schema.GroupKind {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]schema.GroupKind, 0, len(x.kinds))
	for gk := range x.kinds {
		out = append(out, gk)
	}
	return out
}

// Candidates lists the policies that select a template, in no order.
func (x *Index) Candidates(t Template) []Candidate {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.kinds[t.GroupKind] == 0 {
		return nil
	}
	best := map[*indexed]Specificity{}
	look := func(key indexKey) {
		for e, selectors := range x.byKey[key] {
			for _, s := range selectors {
				if found := s.selects(t); found > best[e] {
					best[e] = found
				}
			}
		}
	}
	spread := func(namespace string) {
		key := indexKey{groupKind: t.GroupKind, namespace: namespace}
		look(key)
		for k, v := range t.Labels {
			key.labelKey, key.labelValue = k, v
			look(key)
		}
		look(indexKey{groupKind: t.GroupKind, namespace: namespace, name: t.Name})
	}
	spread("")
	if t.Namespace != "" {
		spread(t.Namespace)
	}
	out := make([]Candidate, 0, len(best))
	for e, s := range best {
		out = append(out, Candidate{Policy: e.policy, Specificity: s})
	}
	return out
}

// Match picks the policy a template belongs to; see the package's comment for
// the rules. current is the claim the template carries, nil when none. The
// policy is shared and must not be changed.
func (x *Index) Match(t Template, current *Claim) (policyv1alpha1.Policy, bool) {
	winner := Decide(x.Candidates(t), current)
	return winner, winner != nil
}

func keyOf(p policyv1alpha1.Policy) types.NamespacedName {
	return types.NamespacedName{Namespace: p.GetNamespace(), Name: p.GetName()}
}

// SelectingGroup lists the policies that select a kind of an API group for which
// wanted says yes.
func (x *Index) SelectingGroup(group string, wanted func(schema.GroupKind) bool) []types.NamespacedName {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []types.NamespacedName
	for key, e := range x.policies {
		for i := range e.selectors {
			if gk := e.selectors[i].groupKind; gk.Group == group && wanted(gk) {
				out = append(out, key)
				break
			}
		}
	}
	return out
}
