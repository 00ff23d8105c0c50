package validation

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ValidateFederatedResourceQuota checks a new FederatedResourceQuota.
func ValidateFederatedResourceQuota(quota *policyv1alpha1.FederatedResourceQuota) field.ErrorList {
	return append(validateMeta(quota, true), validateQuotaSpec(&quota.Spec, field.NewPath("spec"))...)
}

// ValidateFederatedResourceQuotaUpdate checks a changed FederatedResourceQuota.
func ValidateFederatedResourceQuotaUpdate(quota, old *policyv1alpha1.FederatedResourceQuota) field.ErrorList {
	if apiequality.Semantic.DeepEqual(quota.Spec, old.Spec) {
		return nil
	}
	return validateQuotaSpec(&quota.Spec, field.NewPath("spec"))
}

// ValidateFederatedResourceQuotaStatusUpdate checks a changed status.
func ValidateFederatedResourceQuotaStatusUpdate(quota, _ *policyv1alpha1.FederatedResourceQuota) field.ErrorList {
	status, path := &quota.Status, field.NewPath("status")
	errs := validateResources(status.Overall, path.Child("overall"))
	errs = append(errs, validateResources(status.OverallUsed, path.Child("overallUsed"))...)
	for i := range status.AggregatedStatus {
		s, p := &status.AggregatedStatus[i], path.Child("aggregatedStatus").Index(i)
		if s.ClusterName == "" {
			errs = append(errs, field.Required(p.Child("clusterName"), "name the cluster"))
		}
		errs = append(errs, validateResources(s.Hard, p.Child("hard"))...)
		errs = append(errs, validateResources(s.Used, p.Child("used"))...)
	}
	return errs
}

func validateQuotaSpec(spec *policyv1alpha1.FederatedResourceQuotaSpec, path *field.Path) field.ErrorList {
	overall, assignments := path.Child("overall"), path.Child("staticAssignments")
	errs := validateResources(spec.Overall, overall)
	if spec.Overall == nil {
		errs = append(errs, field.Required(overall, "limit at least one resource"))
	}
	assigned := corev1.ResourceList{}
	seen := sets.New[string]()
	for i := range spec.StaticAssignments {
		a, p := &spec.StaticAssignments[i], assignments.Index(i)
		if a.ClusterName == "" {
			errs = append(errs, field.Required(p.Child("clusterName"), "name the cluster"))
		} else if seen.Has(a.ClusterName) {
			errs = append(errs, field.Duplicate(p.Child("clusterName"), a.ClusterName))
		}
		seen.Insert(a.ClusterName)
		if a.Hard == nil {
			errs = append(errs, field.Required(p.Child("hard"), "write the cluster's limits"))
		}
		errs = append(errs, validateResources(a.Hard, p.Child("hard"))...)
		for name, quantity := range a.Hard {
			sum := assigned[name]
			sum.Add(quantity)
			assigned[name] = sum
		}
	}
	for _, name := range sortedNames(assigned) {
		sum, limit := assigned[name], spec.Overall[name]
		if _, limited := spec.Overall[name]; limited && sum.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(assignments, sum.String(),
				fmt.Sprintf("the clusters' parts of %s add up to more than overall, which is %s; lower a part or raise overall", name, limit.String())))
		}
	}
	return errs
}

func validateResources(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range sortedNames(list) {
		quantity, p := list[name], path.Key(string(name))
		errs = append(errs, metav1validation.ValidateLabelName(string(name), p)...)
		if quantity.Sign() < 0 {
			errs = append(errs, field.Invalid(p, quantity.String(), "must not be negative"))
		}
	}
	return errs
}

// sortedNames makes the order of errors independent of the order of the map.
func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	resources := make([]corev1.ResourceName, 0, len(list))
	for name := range list {
		resources = append(resources, name)
	}
	slices.Sort(resources)
	return resources
}
