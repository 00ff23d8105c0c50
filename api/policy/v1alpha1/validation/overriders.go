package validation

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

func validateOperator(op policyv1alpha1.OverriderOperator, path *field.Path, allowed ...policyv1alpha1.OverriderOperator) field.ErrorList {
	if op == "" {
		return field.ErrorList{field.Required(path, "write what to do")}
	}
	return oneOf(op, path, allowed...)
}

func addRemoveReplace(op policyv1alpha1.OverriderOperator, path *field.Path) field.ErrorList {
	return validateOperator(op, path,
		policyv1alpha1.OverriderOpAdd, policyv1alpha1.OverriderOpRemove, policyv1alpha1.OverriderOpReplace)
}

func validateImage(o *policyv1alpha1.ImageOverrider, path *field.Path) field.ErrorList {
	errs := addRemoveReplace(o.Operator, path.Child("operator"))
	if o.Component == "" {
		errs = append(errs, field.Required(path.Child("component"), "write Registry, Repository or Tag"))
	}
	errs = append(errs, oneOf(o.Component, path.Child("component"),
		policyv1alpha1.Registry, policyv1alpha1.Repository, policyv1alpha1.Tag)...)
	if o.Predicate != nil {
		errs = append(errs, validateTarget(o.Predicate.Path, path.Child("predicate", "path"))...)
	}
	return errs
}

func validateCommandArgs(o *policyv1alpha1.CommandArgsOverrider, path *field.Path) field.ErrorList {
	errs := validateOperator(o.Operator, path.Child("operator"),
		policyv1alpha1.OverriderOpAdd, policyv1alpha1.OverriderOpRemove)
	if o.ContainerName == "" {
		errs = append(errs, field.Required(path.Child("containerName"), "name the container to change"))
	}
	return errs
}

func validateLabels(o *policyv1alpha1.LabelAnnotationOverrider, path *field.Path) field.ErrorList {
	errs := validateKeyValues(o, path)
	if o.Operator == policyv1alpha1.OverriderOpRemove {
		for key := range o.Value {
			errs = append(errs, metav1validation.ValidateLabelName(key, path.Child("value"))...)
		}
		return errs
	}
	return append(errs, metav1validation.ValidateLabels(o.Value, path.Child("value"))...)
}

func validateAnnotations(o *policyv1alpha1.LabelAnnotationOverrider, path *field.Path) field.ErrorList {
	return append(validateKeyValues(o, path), apivalidation.ValidateAnnotations(o.Value, path.Child("value"))...)
}

func validateKeyValues(o *policyv1alpha1.LabelAnnotationOverrider, path *field.Path) field.ErrorList {
	errs := addRemoveReplace(o.Operator, path.Child("operator"))
	if o.Value == nil {
		errs = append(errs, field.Required(path.Child("value"), "write the keys, with their values, to change"))
	}
	return errs
}

func validateField(o *policyv1alpha1.FieldOverrider, path *field.Path) field.ErrorList {
	errs := validateTarget(o.FieldPath, path.Child("fieldPath"))
	switch {
	case len(o.JSON) > 0 && len(o.YAML) > 0:
		errs = append(errs, field.Forbidden(path.Child("yaml"), "json is set too, and the text is in one format only; keep one of the two"))
	case len(o.JSON) == 0 && len(o.YAML) == 0:
		errs = append(errs, field.Required(path.Child("json"), "write changes here or under yaml, by the format of the text"))
	}
	for i := range o.JSON {
		op, p := &o.JSON[i], path.Child("json").Index(i)
		errs = append(errs, validatePointer(op.SubPath, p.Child("subPath"))...)
		errs = append(errs, validateOperation(op.Operator, op.Value.Raw, p)...)
	}
	for i := range o.YAML {
		op, p := &o.YAML[i], path.Child("yaml").Index(i)
		errs = append(errs, validatePointer(op.SubPath, p.Child("subPath"))...)
		errs = append(errs, validateOperation(op.Operator, op.Value.Raw, p)...)
	}
	return errs
}

// validateOperation checks operator and value of a JSON patch operation.
func validateOperation(op policyv1alpha1.OverriderOperator, value []byte, path *field.Path) field.ErrorList {
	errs := addRemoveReplace(op, path.Child("operator"))
	if len(value) == 0 && op != policyv1alpha1.OverriderOpRemove {
		errs = append(errs, field.Required(path.Child("value"), "write what to put there, or use operator remove"))
	}
	return errs
}
