package override

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/placement"
)

// ErrIdentityChanged is wrapped when a rule would make the manifest another
// object: apiVersion, kind, name and namespace are the same in every cluster.
var ErrIdentityChanged = errors.New("the rule changes apiVersion, kind, name or namespace, which identify the object; use another template for another object")

// ErrBadMetadata is wrapped when a rule would leave labels or annotations that
// are not text.
var ErrBadMetadata = errors.New("labels and annotations must be text; put the value in quotes")

// RuleError says which rule could not be applied, and why. Every error of Apply
// is one.
type RuleError struct {
	// Policy is the policy's kind, namespace and name.
	Policy string
	// Rule is the index in spec.overrideRules, or -1 for the deprecated
	// spec.overriders.
	Rule int
	// Field is the path of the field within the policy.
	Field string
	// Cluster is the cluster that the manifest was for.
	Cluster string
	// Object is the manifest's kind, namespace and name.
	Object string
	// Err is what is wrong.
	Err error
}

// Error implements error.
func (e *RuleError) Error() string {
	return fmt.Sprintf("%s: %s: cannot be applied to %s for cluster %s: %v", e.Policy, e.Field, e.Object, e.Cluster, e.Err)
}

// Unwrap gives the cause.
func (e *RuleError) Unwrap() error { return e.Err }

// Apply changes the manifest obj as the policies ask for the cluster, and
// returns what was applied. Policies that do not select the manifest, or have no
// rule for the cluster, are passed over. When a rule cannot be applied, the
// error is a *RuleError and obj is as it was.
func Apply(obj *unstructured.Unstructured, cluster *clusterv1alpha1.Cluster, cops []*policyv1alpha1.ClusterOverridePolicy, ops []*policyv1alpha1.OverridePolicy) (Applied, error) {
	policies := ordered(cops, ops)
	var work *unstructured.Unstructured
	var applied Applied
	for _, policy := range policies {
		if !selects(policy, obj) {
			continue
		}
		for _, rule := range rulesOf(policy) {
			matches, err := placement.Matches(cluster, rule.target)
			if err != nil {
				return Applied{}, ruleError(policy, &rule, rule.targetField(), obj, cluster, err)
			}
			if !matches || reflect.ValueOf(*rule.overriders).IsZero() {
				continue
			}
			if work == nil {
				work = obj.DeepCopy()
			}
			if where, err := applyOverriders(work, rule.overriders); err != nil {
				return Applied{}, ruleError(policy, &rule, rule.field()+"."+where, obj, cluster, err)
			}
			if err := stillAnObject(work, obj); err != nil {
				return Applied{}, ruleError(policy, &rule, rule.field(), obj, cluster, err)
			}
			applied.add(policy, rule.overriders)
		}
	}
	if work != nil {
		obj.Object = work.Object
	}
	return applied, nil
}

// ordered is every policy in the order of application. The arguments are left
// as they are.
func ordered(cops []*policyv1alpha1.ClusterOverridePolicy, ops []*policyv1alpha1.OverridePolicy) []policyv1alpha1.Override {
	policies := make([]policyv1alpha1.Override, 0, len(cops)+len(ops))
	for _, p := range cops {
		policies = append(policies, p)
	}
	for _, p := range ops {
		policies = append(policies, p)
	}
	byName := func(a, b policyv1alpha1.Override) int { return cmp.Compare(a.GetName(), b.GetName()) }
	slices.SortStableFunc(policies[:len(cops)], byName)
	slices.SortStableFunc(policies[len(cops):], byName)
	return policies
}

// rule is one set of overriders with its clusters.
type rule struct {
	index      int // -1: the deprecated form
	target     *policyv1alpha1.ClusterAffinity
	overriders *policyv1alpha1.Overriders
}

func (r *rule) field() string {
	if r.index < 0 {
		return "spec.overriders"
	}
	return fmt.Sprintf("spec.overrideRules[%d].overriders", r.index)
}

func (r *rule) targetField() string {
	if r.index < 0 {
		return "spec.targetCluster"
	}
	return fmt.Sprintf("spec.overrideRules[%d].targetCluster", r.index)
}

// rulesOf is a policy's rules in order, the deprecated form last.
func rulesOf(policy policyv1alpha1.Override) []rule {
	spec := policy.GetSpec()
	rules := make([]rule, 0, len(spec.OverrideRules)+1)
	for i := range spec.OverrideRules {
		rules = append(rules, rule{index: i, target: spec.OverrideRules[i].TargetCluster, overriders: &spec.OverrideRules[i].Overriders})
	}
	return append(rules, rule{index: -1, target: spec.TargetCluster, overriders: &spec.Overriders})
}

// applyOverriders applies one rule. On an error it says which field of the
// overriders it was, and obj is left half changed.
func applyOverriders(obj *unstructured.Unstructured, o *policyv1alpha1.Overriders) (where string, err error) {
	for i := range o.ImageOverrider {
		if err := applyImage(obj, &o.ImageOverrider[i]); err != nil {
			return fmt.Sprintf("imageOverrider[%d]", i), err
		}
	}
	for i := range o.CommandOverrider {
		if err := applyCommandArgs(obj, "command", &o.CommandOverrider[i]); err != nil {
			return fmt.Sprintf("commandOverrider[%d]", i), err
		}
	}
	for i := range o.ArgsOverrider {
		if err := applyCommandArgs(obj, "args", &o.ArgsOverrider[i]); err != nil {
			return fmt.Sprintf("argsOverrider[%d]", i), err
		}
	}
	for i := range o.LabelsOverrider {
		if err := applyKeyValues(obj, "labels", &o.LabelsOverrider[i]); err != nil {
			return fmt.Sprintf("labelsOverrider[%d]", i), err
		}
	}
	for i := range o.AnnotationsOverrider {
		if err := applyKeyValues(obj, "annotations", &o.AnnotationsOverrider[i]); err != nil {
			return fmt.Sprintf("annotationsOverrider[%d]", i), err
		}
	}
	for i := range o.FieldOverrider {
		if at, err := applyField(obj, &o.FieldOverrider[i]); err != nil {
			return fmt.Sprintf("fieldOverrider[%d]%s", i, at), err
		}
	}
	if i, err := applyPlaintext(obj, o.Plaintext); err != nil {
		return fmt.Sprintf("plaintext[%d]", i), err
	}
	return "", nil
}

// stillAnObject checks what a path can spoil: what identifies the object, and
// that labels and annotations are text, without which they could not be read.
func stillAnObject(changed, original *unstructured.Unstructured) error {
	if !sameIdentity(changed, original) {
		return ErrIdentityChanged
	}
	for _, name := range []string{"labels", "annotations"} {
		values, found, err := unstructured.NestedFieldNoCopy(changed.Object, "metadata", name)
		if err != nil {
			return fmt.Errorf("metadata: %w", ErrBadMetadata)
		}
		if !found || values == nil {
			continue
		}
		keyed, ok := values.(map[string]any)
		if !ok {
			return fmt.Errorf("metadata.%s: %w", name, ErrBadMetadata)
		}
		for _, key := range slices.Sorted(maps.Keys(keyed)) {
			if _, ok := keyed[key].(string); !ok {
				return fmt.Errorf("metadata.%s[%s]: %w", name, key, ErrBadMetadata)
			}
		}
	}
	return nil
}

func sameIdentity(a, b *unstructured.Unstructured) bool {
	return a.GroupVersionKind() == b.GroupVersionKind() && a.GetName() == b.GetName() && a.GetNamespace() == b.GetNamespace()
}

func ruleError(policy policyv1alpha1.Override, r *rule, field string, obj *unstructured.Unstructured, cluster *clusterv1alpha1.Cluster, err error) error {
	return &RuleError{
		Policy: kindOf(policy) + " " + key(policy.GetNamespace(), policy.GetName()),
		Rule:   r.index, Field: field, Cluster: cluster.Name,
		Object: obj.GetKind() + " " + key(obj.GetNamespace(), obj.GetName()),
		Err:    err,
	}
}

func kindOf(policy policyv1alpha1.Override) string {
	if isClusterScoped(policy) {
		return policyv1alpha1.ResourceKindClusterOverridePolicy
	}
	return policyv1alpha1.ResourceKindOverridePolicy
}

func isClusterScoped(policy policyv1alpha1.Override) bool {
	_, ok := policy.(*policyv1alpha1.ClusterOverridePolicy)
	return ok
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}
