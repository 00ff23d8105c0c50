package claim

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

var (
	genKind  = rapid.SampledFrom([]string{"Deployment", "StatefulSet"})
	genNS    = rapid.SampledFrom([]string{"default", "shop"})
	genName  = rapid.SampledFrom([]string{"a", "b", "c"})
	genLabel = rapid.MapOfN(rapid.SampledFrom([]string{"app", "tier"}), rapid.SampledFrom([]string{"x", "y"}), 0, 2)
)

func drawTemplate(t *rapid.T) Template {
	return Template{
		GroupKind: schema.GroupKind{Group: "apps", Kind: genKind.Draw(t, "kind")},
		Namespace: rapid.SampledFrom([]string{"default", "shop", ""}).Draw(t, "namespace"),
		Name:      genName.Draw(t, "name"),
		Labels:    labels.Set(genLabel.Draw(t, "labels")),
	}
}

func drawSelector(t *rapid.T) policyv1alpha1.ResourceSelector {
	rs := policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: genKind.Draw(t, "selects kind")}
	if rapid.Bool().Draw(t, "in namespace") {
		rs.Namespace = genNS.Draw(t, "selects namespace")
	}
	switch rapid.IntRange(0, 3).Draw(t, "form") {
	case 0:
		rs.Name = genName.Draw(t, "selects name")
	case 1:
		rs.LabelSelector = &metav1.LabelSelector{MatchLabels: genLabel.Draw(t, "selects labels")}
	case 2:
		rs.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: "app", Operator: rapid.SampledFrom([]metav1.LabelSelectorOperator{"Exists", "DoesNotExist"}).Draw(t, "operator"),
		}}}
	}
	return rs
}

// drawPolicies makes policies with distinct scope and name, as a store has them.
func drawPolicies(t *rapid.T) []policyv1alpha1.Policy {
	seen := map[string]bool{}
	var out []policyv1alpha1.Policy
	for range rapid.IntRange(0, 8).Draw(t, "policies") {
		opts := []policyOption{
			selecting(rapid.SliceOfN(rapid.Custom(drawSelector), 1, 3).Draw(t, "selectors")...),
			withPriority(rapid.Int32Range(-1, 2).Draw(t, "priority")),
		}
		if rapid.Bool().Draw(t, "preempts") {
			opts = append(opts, preempting)
		}
		if rapid.IntRange(0, 9).Draw(t, "fate") == 0 {
			opts = append(opts, deleting)
		}
		name := genName.Draw(t, "policy name")
		p := newCPP(name, opts...)
		if rapid.Bool().Draw(t, "namespaced") {
			p = newPP(genNS.Draw(t, "policy namespace"), name, opts...)
		}
		if key := Of(p).String(); !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

func drawClaim(t *rapid.T, policies []policyv1alpha1.Policy) *Claim {
	if len(policies) == 0 || rapid.Bool().Draw(t, "unclaimed") {
		return nil
	}
	c := Of(rapid.SampledFrom(policies).Draw(t, "holder"))
	return &c
}

func TestOrderIsStrictAndTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template := drawTemplate(t)
		var cs []Candidate
		for _, p := range drawPolicies(t) {
			if s := Selects(p, template); s != NotSelected {
				cs = append(cs, Candidate{p, s})
			}
		}
		for i, a := range cs {
			for j, b := range cs {
				if (Compare(a, b) == 0) != (i == j) {
					t.Fatalf("%v and %v must differ", Of(a.Policy), Of(b.Policy))
				}
				if Compare(a, b) != -Compare(b, a) {
					t.Fatalf("not antisymmetric: %v, %v", Of(a.Policy), Of(b.Policy))
				}
				for _, c := range cs {
					if Compare(a, b) < 0 && Compare(b, c) < 0 && Compare(a, c) >= 0 {
						t.Fatalf("not transitive: %v, %v, %v", Of(a.Policy), Of(b.Policy), Of(c.Policy))
					}
				}
			}
		}
	})
}

func TestMatchDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template, policies := drawTemplate(t), drawPolicies(t)
		current := drawClaim(t, policies)
		want, _ := Match(template, policies, current)
		got, _ := Match(template, rapid.Permutation(policies).Draw(t, "other order"), current)
		if want != got {
			t.Fatalf("got %v, in the other order %v", want, got)
		}
	})
}

// Asking again with the claim that was just given must change nothing: otherwise
// two policies would take a template from each other for ever.
func TestMatchSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template, policies := drawTemplate(t), drawPolicies(t)
		current := drawClaim(t, policies)
		for step := 0; ; step++ {
			winner, ok := Match(template, policies, current)
			if !ok || current != nil && current.HeldBy(winner) {
				return
			}
			if step > len(policies) {
				t.Fatal("the claim goes round")
			}
			c := Of(winner)
			current = &c
		}
	})
}

func TestClaimIsStableWithoutPreemption(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template, policies := drawTemplate(t), drawPolicies(t)
		for _, p := range policies {
			p.GetSpec().Preemption = policyv1alpha1.PreemptNever
		}
		current := drawClaim(t, policies)
		if current == nil {
			return
		}
		for _, p := range policies {
			if current.HeldBy(p) && Selects(p, template) != NotSelected {
				if got, _ := Match(template, policies, current); got != p {
					t.Fatalf("%v lost the template to %v", *current, got)
				}
			}
		}
	})
}

func TestIndexAgreesWithMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Index
		policies := drawPolicies(t)
		for _, p := range append(drawPolicies(t), policies...) { // some are replaced
			x.Upsert(p)
		}
		kept := map[string]bool{}
		for _, p := range policies {
			kept[Of(p).String()] = true
		}
		for key := range maps.Clone(x.policies) {
			if c := (Claim{Namespace: key.Namespace, Name: key.Name}); !kept[c.String()] {
				x.Delete(key.Namespace, key.Name)
			}
		}
		template, current := drawTemplate(t), drawClaim(t, policies)
		want, _ := Match(template, policies, current)
		got, _ := x.Match(template, current)
		if want != got {
			t.Fatalf("index says %v, the rules say %v", got, want)
		}
	})
}

func TestIndexIsSafeForConcurrentUse(t *testing.T) {
	var x Index
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprint(i % 7)
				x.Upsert(newCPP(name, selecting(deployments())))
				x.Match(Template{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Name: name}, nil)
				if w%2 == 0 {
					x.Delete("", name)
				}
			}
		})
	}
	wg.Wait()
}

func TestStampAndRelease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		original := &metav1.ObjectMeta{Labels: genLabel.Draw(t, "labels"), Annotations: genLabel.Draw(t, "annotations")}
		shared := original.DeepCopy()
		obj := *original
		policies := []policyv1alpha1.Policy{newPP("default", "p"), newPP("default", "q"), newCPP("p"), newCPP("q")}
		for range rapid.IntRange(1, 4).Draw(t, "stamps") {
			p := rapid.SampledFrom(policies).Draw(t, "policy")
			Stamp(&obj, p)
			c, ok := On(&obj)
			assert.True(t, ok)
			assert.Equal(t, Of(p), c, "what is stamped is what is read")
			assert.True(t, c.HeldBy(p))
			assert.Equal(t, BoundValue, obj.Labels[names.LabelBound])
			again := obj.DeepCopy()
			Stamp(again, p)
			assert.Equal(t, &obj, again, "stamping is idempotent")
		}
		Release(&obj)
		_, ok := On(&obj)
		assert.False(t, ok)
		assert.False(t, HasMarks(&obj))
		assert.Equal(t, BoundValue, obj.Labels[names.LabelBound], "what was placed stays visible")
		delete(obj.Labels, names.LabelBound)
		if len(original.Labels) > 0 || len(obj.Labels) > 0 {
			assert.Equal(t, original.Labels, obj.Labels, "other labels are kept")
		}
		if len(original.Annotations) > 0 || len(obj.Annotations) > 0 {
			assert.Equal(t, original.Annotations, obj.Annotations, "other annotations are kept")
		}
		assert.Equal(t, shared, original, "maps of a cached object are never written to")
	})
}
