package claim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

type policyOption func(policyv1alpha1.Policy)

func newPP(namespace, name string, opts ...policyOption) policyv1alpha1.Policy {
	p := &policyv1alpha1.PropagationPolicy{}
	p.Namespace = namespace
	return finish(p, name, opts)
}

func newCPP(name string, opts ...policyOption) policyv1alpha1.Policy {
	return finish(&policyv1alpha1.ClusterPropagationPolicy{}, name, opts)
}

func finish(p policyv1alpha1.Policy, name string, opts []policyOption) policyv1alpha1.Policy {
	p.SetName(name)
	p.SetLabels(map[string]string{Of(p).LabelKey(): "id-" + name})
	for _, o := range opts {
		o(p)
	}
	return p
}

func selecting(rs ...policyv1alpha1.ResourceSelector) policyOption {
	return func(p policyv1alpha1.Policy) { p.GetSpec().ResourceSelectors = rs }
}

func withPriority(v int32) policyOption {
	return func(p policyv1alpha1.Policy) { p.GetSpec().Priority = &v }
}

func preempting(p policyv1alpha1.Policy) { p.GetSpec().Preemption = policyv1alpha1.PreemptAlways }

func deleting(p policyv1alpha1.Policy) {
	p.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
}

func withID(id string) policyOption {
	return func(p policyv1alpha1.Policy) { p.SetLabels(map[string]string{Of(p).LabelKey(): id}) }
}

func deployments(change ...func(*policyv1alpha1.ResourceSelector)) policyv1alpha1.ResourceSelector {
	rs := policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}
	for _, c := range change {
		c(&rs)
	}
	return rs
}

func named(name string) func(*policyv1alpha1.ResourceSelector) {
	return func(rs *policyv1alpha1.ResourceSelector) { rs.Name = name }
}

func inNamespace(ns string) func(*policyv1alpha1.ResourceSelector) {
	return func(rs *policyv1alpha1.ResourceSelector) { rs.Namespace = ns }
}

func labelled(kv map[string]string) func(*policyv1alpha1.ResourceSelector) {
	return func(rs *policyv1alpha1.ResourceSelector) {
		rs.LabelSelector = &metav1.LabelSelector{MatchLabels: kv}
	}
}

func TestMatch(t *testing.T) {
	web := Template{
		GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"},
		Namespace: "default", Name: "web", Labels: labels.Set{"app": "web"},
	}
	role := Template{GroupKind: schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, Name: "app"}
	all := selecting(deployments())
	app := map[string]string{"app": "web"}
	claimOf := func(p policyv1alpha1.Policy) *Claim { c := Of(p); return &c }

	cases := map[string]struct {
		reason   string
		template Template
		policies []policyv1alpha1.Policy
		current  *Claim
		want     string // name of the winner
	}{
		"None":           {"no policy, no claim", web, nil, nil, ""},
		"OtherNamespace": {"a PropagationPolicy reaches its own namespace only", web, []policyv1alpha1.Policy{newPP("other", "a", all)}, nil, ""},
		"ForeignSelector": {"a selector cannot reach out of the policy's namespace", web,
			[]policyv1alpha1.Policy{newPP("other", "a", selecting(deployments(inNamespace("default"))))}, nil, ""},
		"OtherKind": {"the kind must be the same", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "StatefulSet"}))}, nil, ""},
		"OtherGroup": {"the group must be the same", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(policyv1alpha1.ResourceSelector{APIVersion: "example.io/v1", Kind: "Deployment"}))}, nil, ""},
		"OtherVersion": {"one object served in two versions is one object", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1beta1", Kind: "Deployment"}))}, nil, "a"},
		"BadAPIVersion": {"a selector that cannot be read selects nothing", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(policyv1alpha1.ResourceSelector{APIVersion: "a/b/c", Kind: "Deployment"}))}, nil, ""},
		"BadLabelSelector": {"a selector that cannot be read selects nothing", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(deployments(func(rs *policyv1alpha1.ResourceSelector) {
				rs.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Wat"}}}
			})))}, nil, ""},
		"EmptyLabelSelector": {"an empty labelSelector matches everything, as elsewhere in the API", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(deployments(labelled(nil))))}, nil, "a"},
		"NameBeatsLabelInOneSelector": {"beside a name the labelSelector is ignored", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(deployments(named("web"), labelled(map[string]string{"x": "y"}))))}, nil, "a"},
		"ClusterScoped": {"only a ClusterPropagationPolicy selects a cluster-scoped object", role, []policyv1alpha1.Policy{
			newPP("default", "a", selecting(policyv1alpha1.ResourceSelector{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"})),
			newCPP("b", selecting(policyv1alpha1.ResourceSelector{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"})),
		}, nil, "b"},
		"ClusterSelectorNamespace": {"a namespace in a ClusterPropagationPolicy narrows it", web, []policyv1alpha1.Policy{
			newCPP("a", selecting(deployments(inNamespace("other")))),
			newCPP("b", selecting(deployments(inNamespace("default")))),
		}, nil, "b"},
		"ScopeBeforePriority": {"PropagationPolicy first", web,
			[]policyv1alpha1.Policy{newCPP("a", all, withPriority(9)), newPP("default", "z", all)}, nil, "z"},
		"PriorityBeforeName": {"priority before the kind of selector", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(deployments(named("web")))), newCPP("z", all, withPriority(1))}, nil, "z"},
		"NegativePriority": {"no priority is zero", web,
			[]policyv1alpha1.Policy{newCPP("a", all, withPriority(-1)), newCPP("z", all)}, nil, "z"},
		"NameSelector": {"by name before by label", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(deployments(labelled(app)))), newCPP("z", selecting(deployments(named("web"))))}, nil, "z"},
		"LabelSelector": {"by label before a bare kind", web,
			[]policyv1alpha1.Policy{newCPP("a", all), newCPP("z", selecting(deployments(labelled(app))))}, nil, "z"},
		"NarrowestSelector": {"the narrowest of a policy's selectors counts", web,
			[]policyv1alpha1.Policy{newCPP("a", selecting(deployments(labelled(app)))),
				newCPP("z", selecting(deployments(), deployments(named("web"))))}, nil, "z"},
		"Alphabet": {"the smaller name last", web, []policyv1alpha1.Policy{newCPP("b", all), newCPP("a", all)}, nil, "a"},
		"Deleting": {"a policy on its way out selects nothing", web,
			[]policyv1alpha1.Policy{newCPP("a", all, deleting), newCPP("b", all)}, claimOf(newCPP("a")), "b"},
		"ClaimStays": {"better candidates change nothing", web,
			[]policyv1alpha1.Policy{newCPP("z", all), newCPP("a", all, withPriority(5)), newPP("default", "b", all)}, claimOf(newCPP("z")), "z"},
		"HolderGone": {"the claim of a deleted policy is free", web,
			[]policyv1alpha1.Policy{newCPP("a", all)}, claimOf(newCPP("z")), "a"},
		"HolderReplaced": {"a policy of the same name that was made anew is another", web,
			[]policyv1alpha1.Policy{newCPP("z", all, withID("new")), newCPP("a", all)}, claimOf(newCPP("z", withID("old"))), "a"},
		"ClaimWithoutID": {"a claim without id goes by name", web,
			[]policyv1alpha1.Policy{newCPP("z", all), newCPP("a", all)}, &Claim{Name: "z"}, "z"},
		"NoLongerSelected": {"released when the holder no longer selects", web,
			[]policyv1alpha1.Policy{newCPP("z", selecting(deployments(named("other"))))}, claimOf(newCPP("z")), ""},
		"Preempted": {"Always and a higher priority", web,
			[]policyv1alpha1.Policy{newCPP("a", all), newCPP("z", all, withPriority(1), preempting)}, claimOf(newCPP("a")), "z"},
		"NotPreemptedByEqual": {"an equal priority does not preempt", web,
			[]policyv1alpha1.Policy{newCPP("b", all), newCPP("a", all, preempting)}, claimOf(newCPP("b")), "b"},
		"PreemptedAcrossScopes": {"a PropagationPolicy preempts whatever the priority", web,
			[]policyv1alpha1.Policy{newCPP("a", all, withPriority(9)), newPP("default", "z", all, preempting)}, claimOf(newCPP("a")), "z"},
		"NeverUpwards": {"a ClusterPropagationPolicy never preempts a PropagationPolicy", web,
			[]policyv1alpha1.Policy{newPP("default", "z", all), newCPP("a", all, withPriority(9), preempting)}, claimOf(newPP("default", "z")), "z"},
		"BestPreemptor": {"the best of those that may preempt; others do not count", web, []policyv1alpha1.Policy{
			newCPP("h", all), newCPP("x", all, withPriority(9)),
			newCPP("c", all, withPriority(1), preempting), newCPP("d", all, withPriority(2), preempting),
		}, claimOf(newCPP("h")), "d"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := Match(tc.template, tc.policies, tc.current)
			assert.Equal(t, tc.want != "", ok)
			if ok {
				assert.Equal(t, tc.want, got.GetName(), tc.reason)
			}
			var x Index
			for _, p := range tc.policies {
				x.Upsert(p)
			}
			indexed, ok2 := x.Match(tc.template, tc.current)
			assert.Equal(t, ok, ok2, "the index must agree")
			assert.Equal(t, got, indexed, "the index must agree")
		})
	}
}

func TestIndexForgets(t *testing.T) {
	web := Template{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "default", Name: "web"}
	var x Index
	p := newPP("default", "p", selecting(deployments()))
	x.Upsert(p)
	got, ok := x.Match(web, nil)
	require.True(t, ok)
	assert.Same(t, p, got)
	assert.Equal(t, []schema.GroupKind{web.GroupKind}, x.Kinds())

	x.Upsert(newPP("default", "p", selecting(deployments(named("other")))))
	_, ok = x.Match(web, nil)
	assert.False(t, ok, "an update replaces the old selectors")

	x.Upsert(p)
	x.Delete("", "p")
	_, ok = x.Match(web, nil)
	assert.True(t, ok, "a ClusterPropagationPolicy of the same name is another policy")
	x.Delete("default", "p")
	_, ok = x.Match(web, nil)
	assert.False(t, ok)
	assert.Empty(t, x.Kinds())
	assert.Empty(t, x.byKey, "nothing of a deleted policy may stay")
}

// A write of this server is in the index before its watch event, which must not
// bring an older state back.
func TestIndexKeepsTheNewerState(t *testing.T) {
	state := func(uid, version string, priority int32) *policyv1alpha1.PropagationPolicy {
		p := &policyv1alpha1.PropagationPolicy{}
		p.Namespace, p.Name, p.UID, p.ResourceVersion = "ns", "p", types.UID(uid), version
		p.Spec.Priority = &priority
		return p
	}
	var x Index
	x.Upsert(state("1", "100", 2))
	x.Upsert(state("1", "99", 1))
	p, ok := x.Get("ns", "p")
	require.True(t, ok)
	require.EqualValues(t, 2, p.GetSpec().ExplicitPriority(), "a late event")
	x.Upsert(state("2", "50", 3))
	p, _ = x.Get("ns", "p")
	require.EqualValues(t, 3, p.GetSpec().ExplicitPriority(), "another policy of the name, whatever its version")
}
