package override

import (
	"encoding/json"
	"fmt"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// Applied records what was applied, in order. The zero value is nothing.
type Applied struct {
	// ClusterOverrides are rules of ClusterOverridePolicies.
	ClusterOverrides []AppliedRule
	// Overrides are rules of OverridePolicies.
	Overrides []AppliedRule
}

// AppliedRule is one rule that was applied. Its JSON is what the annotations
// hold, and is read by existing tools.
type AppliedRule struct {
	// PolicyName is the name of the policy; one with several rules for the
	// cluster appears several times.
	PolicyName string `json:"policyName"`
	// Overriders are the rule's changes. They are shared with the policy.
	Overriders policyv1alpha1.Overriders `json:"overriders"`
}

func (a *Applied) add(policy policyv1alpha1.Override, overriders *policyv1alpha1.Overriders) {
	list := &a.Overrides
	if isClusterScoped(policy) {
		list = &a.ClusterOverrides
	}
	*list = append(*list, AppliedRule{PolicyName: policy.GetName(), Overriders: *overriders})
}

// Annotations are the annotations that record what was applied: none, one or
// both of names.AppliedClusterOverridesAnnotation and
// names.AppliedOverridesAnnotation. nil when nothing was applied. It fails only
// when a policy holds a value that is no JSON, which the API server refuses.
func (a *Applied) Annotations() (map[string]string, error) {
	var annotations map[string]string
	for _, f := range []struct {
		name  string
		rules []AppliedRule
	}{
		{names.AppliedClusterOverridesAnnotation, a.ClusterOverrides},
		{names.AppliedOverridesAnnotation, a.Overrides},
	} {
		if len(f.rules) == 0 {
			continue
		}
		data, err := json.Marshal(f.rules)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", f.name, err)
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[f.name] = string(data)
	}
	return annotations, nil
}
