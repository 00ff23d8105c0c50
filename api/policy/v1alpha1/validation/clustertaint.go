package validation

import (
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clustervalidation "github.com/flotilla-io/flotilla/api/cluster/v1alpha1/validation"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ValidateClusterTaintPolicy checks a new ClusterTaintPolicy.
func ValidateClusterTaintPolicy(policy *policyv1alpha1.ClusterTaintPolicy) field.ErrorList {
	return append(validateMeta(policy, false), validateClusterTaintPolicySpec(&policy.Spec, field.NewPath("spec"))...)
}

// ValidateClusterTaintPolicyUpdate checks a changed ClusterTaintPolicy.
func ValidateClusterTaintPolicyUpdate(policy, old *policyv1alpha1.ClusterTaintPolicy) field.ErrorList {
	if apiequality.Semantic.DeepEqual(policy.Spec, old.Spec) {
		return nil
	}
	return validateClusterTaintPolicySpec(&policy.Spec, field.NewPath("spec"))
}

func validateClusterTaintPolicySpec(spec *policyv1alpha1.ClusterTaintPolicySpec, path *field.Path) field.ErrorList {
	errs := ValidateClusterAffinity(spec.TargetClusters, path.Child("targetClusters"))
	errs = append(errs, validateMatchConditions(spec.AddOnConditions, path.Child("addOnConditions"))...)
	errs = append(errs, validateMatchConditions(spec.RemoveOnConditions, path.Child("removeOnConditions"))...)
	taints := path.Child("taints")
	if len(spec.Taints) == 0 {
		errs = append(errs, field.Required(taints, "name at least one taint"))
	}
	plain := make([]corev1.Taint, len(spec.Taints))
	for i, t := range spec.Taints {
		plain[i] = corev1.Taint{Key: t.Key, Value: t.Value, Effect: t.Effect}
		if t.Effect == corev1.TaintEffectPreferNoSchedule {
			errs = append(errs, field.NotSupported(taints.Index(i).Child("effect"), t.Effect,
				[]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute}))
		}
	}
	return append(errs, clustervalidation.ValidateTaints(plain, taints)...)
}

func validateMatchConditions(conditions []policyv1alpha1.MatchCondition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range conditions {
		c, p := &conditions[i], path.Index(i)
		if c.ConditionType == "" {
			errs = append(errs, field.Required(p.Child("conditionType"), "name a condition of clusters, such as Ready"))
		}
		if c.Operator == "" {
			errs = append(errs, field.Required(p.Child("operator"), "write In or NotIn"))
		}
		errs = append(errs, oneOf(c.Operator, p.Child("operator"),
			policyv1alpha1.MatchConditionOpIn, policyv1alpha1.MatchConditionOpNotIn)...)
		values := p.Child("statusValues")
		if len(c.StatusValues) == 0 {
			errs = append(errs, field.Required(values, "list statuses to compare with: True, False, Unknown"))
		}
		for j, value := range c.StatusValues {
			if value == "" {
				errs = append(errs, field.Required(values.Index(j), "write True, False or Unknown"))
			}
			errs = append(errs, oneOf(value, values.Index(j),
				metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown)...)
		}
	}
	return errs
}
