package validation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// validateResourceSelectors checks the selectors of a propagation or override
// policy. The namespace is the policy's own, empty for a cluster-scoped one.
func validateResourceSelectors(selectors []policyv1alpha1.ResourceSelector, namespace string, fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range selectors {
		errs = append(errs, validateResourceSelector(&selectors[i], namespace, fldPath.Index(i))...)
	}
	return errs
}

func validateResourceSelector(s *policyv1alpha1.ResourceSelector, namespace string, fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.APIVersion == "" {
		errs = append(errs, field.Required(fldPath.Child("apiVersion"), "write the template's apiVersion, such as apps/v1"))
	} else if gv, err := schema.ParseGroupVersion(s.APIVersion); err != nil || gv.Version == "" {
		errs = append(errs, field.Invalid(fldPath.Child("apiVersion"), s.APIVersion,
			"must be <group>/<version>, such as apps/v1, or a bare version for the core group"))
	}
	if s.Kind == "" {
		errs = append(errs, field.Required(fldPath.Child("kind"), "write the template's kind, such as Deployment"))
	}
	errs = append(errs, validateSelectorNamespace(s.Namespace, namespace, fldPath.Child("namespace"))...)
	if s.Name != "" {
		for _, msg := range content.IsPathSegmentName(s.Name) {
			errs = append(errs, field.Invalid(fldPath.Child("name"), s.Name, msg))
		}
	}
	return append(errs, validateLabelSelector(s.LabelSelector, fldPath.Child("labelSelector"))...)
}

func validateSelectorNamespace(selected, own string, fldPath *field.Path) field.ErrorList {
	// Another namespace than a namespaced policy's own selects nothing, of
	// whatever form it is.
	if selected == "" || own != "" {
		return nil
	}
	var errs field.ErrorList
	for _, msg := range apivalidation.ValidateNamespaceName(selected, false) {
		errs = append(errs, field.Invalid(fldPath, selected, msg))
	}
	return errs
}

func validateLabelSelector(s *metav1.LabelSelector, fldPath *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, fldPath)
}

// ValidateClusterAffinity checks a set of clusters; nil is every cluster.
func ValidateClusterAffinity(affinity *policyv1alpha1.ClusterAffinity, fldPath *field.Path) field.ErrorList {
	if affinity == nil {
		return nil
	}
	errs := validateLabelSelector(affinity.LabelSelector, fldPath.Child("labelSelector"))
	return append(errs, validateFieldSelector(affinity.FieldSelector, fldPath.Child("fieldSelector"))...)
}

func validateFieldSelector(selector *policyv1alpha1.FieldSelector, fldPath *field.Path) field.ErrorList {
	if selector == nil {
		return nil
	}
	var errs field.ErrorList
	for i, r := range selector.MatchExpressions {
		p := fldPath.Child("matchExpressions").Index(i)
		if r.Key == "" {
			errs = append(errs, field.Required(p.Child("key"), "write provider, region or zone"))
		}
		errs = append(errs, oneOf(r.Key, p.Child("key"),
			policyv1alpha1.ProviderField, policyv1alpha1.RegionField, policyv1alpha1.ZoneField)...)
		if r.Operator == "" {
			errs = append(errs, field.Required(p.Child("operator"), "write In or NotIn"))
		}
		errs = append(errs, oneOf(r.Operator, p.Child("operator"),
			corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn)...)
	}
	return errs
}
