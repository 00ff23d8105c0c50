package validation

import (
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ValidatePolicy checks a new propagation policy of either scope.
func ValidatePolicy(policy policyv1alpha1.Policy) field.ErrorList {
	errs := validateMeta(policy, isNamespaced(policy))
	return append(errs, ValidatePropagationSpec(policy.GetSpec(), policy.GetNamespace(), field.NewPath("spec"))...)
}

// ValidatePolicyUpdate checks a changed propagation policy of either scope.
func ValidatePolicyUpdate(policy, old policyv1alpha1.Policy) field.ErrorList {
	var errs field.ErrorList
	if !apiequality.Semantic.DeepEqual(policy.GetSpec(), old.GetSpec()) {
		errs = ValidatePropagationSpec(policy.GetSpec(), policy.GetNamespace(), field.NewPath("spec"))
	}
	label := names.ClusterPropagationPolicyPermanentIDLabel
	if isNamespaced(policy) {
		label = names.PropagationPolicyPermanentIDLabel
	}
	return append(errs, immutableLabel(policy, old, label)...)
}

func isNamespaced(policy policyv1alpha1.Policy) bool {
	_, ok := policy.(*policyv1alpha1.PropagationPolicy)
	return ok
}

// ValidatePropagationSpec checks what both scopes share. The namespace is the
// policy's own, empty for a cluster-scoped policy.
func ValidatePropagationSpec(spec *policyv1alpha1.PropagationSpec, namespace string, path *field.Path) field.ErrorList {
	selectors := path.Child("resourceSelectors")
	errs := validateResourceSelectors(spec.ResourceSelectors, namespace, selectors)
	if len(spec.ResourceSelectors) == 0 {
		errs = append(errs, field.Required(selectors, "name at least one kind of template, with its apiVersion and kind"))
	}
	errs = append(errs, ValidatePlacement(&spec.Placement, path.Child("placement"))...)
	errs = append(errs, ValidateFailover(spec.Failover, path.Child("failover"))...)
	errs = append(errs, ValidateSuspension(spec.Suspension, path.Child("suspension"))...)
	errs = append(errs, oneOf(spec.Preemption, path.Child("preemption"),
		policyv1alpha1.PreemptAlways, policyv1alpha1.PreemptNever)...)
	errs = append(errs, ValidateConflictResolution(spec.ConflictResolution, path.Child("conflictResolution"))...)
	errs = append(errs, oneOf(spec.ActivationPreference, path.Child("activationPreference"),
		policyv1alpha1.LazyActivation)...)
	return append(errs, validateSchedulePriority(spec.SchedulePriority, path.Child("schedulePriority"))...)
}

// ValidateConflictResolution checks the enumeration.
func ValidateConflictResolution(value policyv1alpha1.ConflictResolution, path *field.Path) field.ErrorList {
	return oneOf(value, path, policyv1alpha1.ConflictAbort, policyv1alpha1.ConflictOverwrite)
}

// ValidateSuspension checks that not both, everything and some, is suspended.
func ValidateSuspension(suspension *policyv1alpha1.Suspension, path *field.Path) field.ErrorList {
	if suspension == nil || suspension.Dispatching == nil || !*suspension.Dispatching ||
		suspension.DispatchingOnClusters == nil || len(suspension.DispatchingOnClusters.ClusterNames) == 0 {
		return nil
	}
	return field.ErrorList{field.Forbidden(path.Child("dispatchingOnClusters"),
		"dispatching already suspends every cluster; set dispatching to false to suspend only these")}
}

func validateSchedulePriority(priority *policyv1alpha1.SchedulePriority, path *field.Path) field.ErrorList {
	if priority == nil {
		return nil
	}
	source, name := path.Child("priorityClassSource"), path.Child("priorityClassName")
	errs := oneOf(priority.PriorityClassSource, source, policyv1alpha1.KubePriorityClass)
	if priority.PriorityClassSource == "" {
		errs = append(errs, field.Required(source, "write "+string(policyv1alpha1.KubePriorityClass)))
	}
	if priority.PriorityClassName == "" {
		return append(errs, field.Required(name, "name a PriorityClass, or leave schedulePriority out"))
	}
	for _, msg := range apivalidation.NameIsDNSSubdomain(priority.PriorityClassName, false) {
		errs = append(errs, field.Invalid(name, priority.PriorityClassName, msg))
	}
	return errs
}

// validateMeta checks metadata of a new object of this group.
func validateMeta(obj metav1.Object, namespaced bool) field.ErrorList {
	return apivalidation.ValidateObjectMetaAccessor(obj, namespaced, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
}

// immutableLabel refuses to change or remove a label that the server gave.
func immutableLabel(obj, old metav1.Object, label string) field.ErrorList {
	was, had := old.GetLabels()[label]
	if !had || obj.GetLabels()[label] == was {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "labels").Key(label), obj.GetLabels()[label],
		fmt.Sprintf("identifies the policy on everything it has claimed and cannot change; put %q back", was))}
}

// oneOf checks an enumeration. Empty is for the caller to refuse.
func oneOf[T ~string](value T, path *field.Path, allowed ...T) field.ErrorList {
	if value == "" {
		return nil
	}
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}
