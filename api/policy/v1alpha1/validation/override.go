package validation

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ValidateOverride checks a new override policy of either scope.
func ValidateOverride(policy policyv1alpha1.Override) field.ErrorList {
	_, namespaced := policy.(*policyv1alpha1.OverridePolicy)
	return append(validateMeta(policy, namespaced), validateOverrideSpec(policy)...)
}

// ValidateOverrideUpdate checks a changed override policy of either scope.
func ValidateOverrideUpdate(policy, old policyv1alpha1.Override) field.ErrorList {
	if apiequality.Semantic.DeepEqual(policy.GetSpec(), old.GetSpec()) {
		return nil
	}
	return validateOverrideSpec(policy)
}

func validateOverrideSpec(policy policyv1alpha1.Override) field.ErrorList {
	spec, path := policy.GetSpec(), field.NewPath("spec")
	errs := validateResourceSelectors(spec.ResourceSelectors, policy.GetNamespace(), path.Child("resourceSelectors"))
	for i := range spec.OverrideRules {
		rule, p := &spec.OverrideRules[i], path.Child("overrideRules").Index(i)
		errs = append(errs, ValidateClusterAffinity(rule.TargetCluster, p.Child("targetCluster"))...)
		errs = append(errs, validateOverriders(&rule.Overriders, p.Child("overriders"))...)
	}
	errs = append(errs, ValidateClusterAffinity(spec.TargetCluster, path.Child("targetCluster"))...)
	errs = append(errs, validateOverriders(&spec.Overriders, path.Child("overriders"))...)
	if len(spec.OverrideRules) > 0 && (spec.TargetCluster != nil || !apiequality.Semantic.DeepEqual(spec.Overriders, policyv1alpha1.Overriders{})) {
		errs = append(errs, field.Forbidden(path.Child("overrideRules"),
			"the deprecated targetCluster and overriders are set too; make them another rule"))
	}
	return errs
}

func validateOverriders(o *policyv1alpha1.Overriders, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range o.ImageOverrider {
		errs = append(errs, validateImage(&o.ImageOverrider[i], path.Child("imageOverrider").Index(i))...)
	}
	for i := range o.CommandOverrider {
		errs = append(errs, validateCommandArgs(&o.CommandOverrider[i], path.Child("commandOverrider").Index(i))...)
	}
	for i := range o.ArgsOverrider {
		errs = append(errs, validateCommandArgs(&o.ArgsOverrider[i], path.Child("argsOverrider").Index(i))...)
	}
	for i := range o.LabelsOverrider {
		errs = append(errs, validateLabels(&o.LabelsOverrider[i], path.Child("labelsOverrider").Index(i))...)
	}
	for i := range o.AnnotationsOverrider {
		errs = append(errs, validateAnnotations(&o.AnnotationsOverrider[i], path.Child("annotationsOverrider").Index(i))...)
	}
	for i := range o.FieldOverrider {
		errs = append(errs, validateField(&o.FieldOverrider[i], path.Child("fieldOverrider").Index(i))...)
	}
	for i := range o.Plaintext {
		text, p := &o.Plaintext[i], path.Child("plaintext").Index(i)
		errs = append(errs, validateTarget(text.Path, p.Child("path"))...)
		errs = append(errs, addRemoveReplace(text.Operator, p.Child("operator"))...) // no value is null
	}
	return errs
}
