package validation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	policyvalidation "github.com/flotilla-io/flotilla/api/policy/v1alpha1/validation"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Limits of the wire contract, in bytes.
const (
	maxComponentName   = 32
	maxEvictionReason  = 32
	maxEvictionMessage = 1024
)

var evictionReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// ValidateBinding checks a new binding.
func ValidateBinding(binding workv1alpha2.Binding) field.ErrorList {
	_, namespaced := binding.(*workv1alpha2.ResourceBinding)
	errs := apivalidation.ValidateObjectMetaAccessor(binding, namespaced, validateName, field.NewPath("metadata"))
	errs = append(errs, validateOwnNamespace(binding, field.NewPath("spec", "resource", "namespace"))...)
	return append(errs, validateSpec(binding.GetSpec(), field.NewPath("spec"))...)
}

// validateOwnNamespace holds a binding to templates of its own namespace: who may
// write bindings in one must not place what another holds.
func validateOwnNamespace(binding workv1alpha2.Binding, fldPath *field.Path) field.ErrorList {
	own, of := binding.GetNamespace(), binding.GetSpec().Resource.Namespace
	switch own {
	case of:
		return nil
	case "":
		return field.ErrorList{field.Forbidden(fldPath, "a ClusterResourceBinding is about a template without a namespace; use a ResourceBinding in namespace "+of)}
	default:
		return field.ErrorList{field.Invalid(fldPath, of, fmt.Sprintf("must be the namespace of the binding itself, %q", own))}
	}
}

// validateReferenceUpdate keeps a binding with its template; only the version, and
// what was seen of the template last, can change.
func validateReferenceUpdate(ref, old *workv1alpha2.ObjectReference, fldPath *field.Path) field.ErrorList {
	if groupKind(ref) == groupKind(old) && ref.Namespace == old.Namespace && ref.Name == old.Name {
		return nil
	}
	return field.ErrorList{field.Forbidden(fldPath, fmt.Sprintf("the binding is about %s %s and cannot turn to another template; create another binding",
		old.Kind, strings.TrimPrefix(old.Namespace+"/"+old.Name, "/")))}
}

// validateName takes the names that any template has, with its kind after it.
func validateName(name string, prefix bool) []string {
	if prefix {
		return content.IsPathSegmentPrefix(name)
	}
	return content.IsPathSegmentName(name)
}

// ValidateBindingUpdate checks a changed binding. What was stored under older rules
// can be labelled and deleted, and its clusters can change.
func ValidateBindingUpdate(binding, old workv1alpha2.Binding) field.ErrorList {
	var errs field.ErrorList
	switch spec := field.NewPath("spec"); {
	case apiequality.Semantic.DeepEqual(binding.GetSpec(), old.GetSpec()):
	case apiequality.Semantic.DeepEqual(withoutClusters(binding), withoutClusters(old)):
		errs = validateTargets(binding.GetSpec().Clusters, spec.Child("clusters"))
	default:
		errs = validateSpec(binding.GetSpec(), spec)
		errs = append(errs, validateReferenceUpdate(&binding.GetSpec().Resource, &old.GetSpec().Resource, spec.Child("resource"))...)
	}
	for _, label := range []string{names.ResourceBindingPermanentIDLabel, names.ClusterResourceBindingPermanentIDLabel} {
		was, had := old.GetLabels()[label]
		if now := binding.GetLabels()[label]; had && now != was {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "labels").Key(label), now,
				fmt.Sprintf("identifies the binding and cannot change; put %q back", was)))
		}
	}
	return errs
}

func groupKind(ref *workv1alpha2.ObjectReference) schema.GroupKind {
	return schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
}

func withoutClusters(binding workv1alpha2.Binding) workv1alpha2.ResourceBindingSpec {
	spec := *binding.GetSpec()
	spec.Clusters = nil
	return spec
}

// ValidateBindingStatusUpdate checks a changed status.
func ValidateBindingStatusUpdate(binding, _ workv1alpha2.Binding) field.ErrorList {
	status, fldPath := binding.GetStatus(), field.NewPath("status")
	errs := metav1validation.ValidateConditions(status.Conditions, fldPath.Child("conditions"))
	health := []workv1alpha2.ResourceHealth{workv1alpha2.ResourceHealthy, workv1alpha2.ResourceUnhealthy, workv1alpha2.ResourceUnknown}
	seen := sets.New[string]()
	for i := range status.AggregatedStatus {
		s, p := &status.AggregatedStatus[i], fldPath.Child("aggregatedStatus").Index(i)
		errs = append(errs, uniqueName(s.ClusterName, seen, p.Child("clusterName"))...)
		if s.Health != "" && !slices.Contains(health, s.Health) {
			errs = append(errs, field.NotSupported(p.Child("health"), s.Health, health))
		}
	}
	return errs
}

func validateSpec(spec *workv1alpha2.ResourceBindingSpec, fldPath *field.Path) field.ErrorList {
	errs := validateReference(&spec.Resource, fldPath.Child("resource"))
	errs = append(errs, notNegative(spec.Replicas, fldPath.Child("replicas"))...)
	errs = append(errs, validateComponents(spec.Components, fldPath.Child("components"))...)
	errs = append(errs, validateTargets(spec.Clusters, fldPath.Child("clusters"))...)
	for i := range spec.GracefulEvictionTasks {
		errs = append(errs, validateEviction(&spec.GracefulEvictionTasks[i], fldPath.Child("gracefulEvictionTasks").Index(i))...)
	}
	for i := range spec.RequiredBy {
		by, p := &spec.RequiredBy[i], fldPath.Child("requiredBy").Index(i)
		if by.Name == "" {
			errs = append(errs, field.Required(p.Child("name"), "name the binding"))
		}
		errs = append(errs, validateTargets(by.Clusters, p.Child("clusters"))...)
	}
	errs = append(errs, policyvalidation.ValidatePlacement(spec.Placement, fldPath.Child("placement"))...)
	errs = append(errs, policyvalidation.ValidateFailover(spec.Failover, fldPath.Child("failover"))...)
	errs = append(errs, policyvalidation.ValidateConflictResolution(spec.ConflictResolution, fldPath.Child("conflictResolution"))...)
	if spec.Suspension != nil {
		errs = append(errs, policyvalidation.ValidateSuspension(&spec.Suspension.Suspension, fldPath.Child("suspension"))...)
	}
	return errs
}

func validateReference(ref *workv1alpha2.ObjectReference, fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct{ name, value string }{{"apiVersion", ref.APIVersion}, {"kind", ref.Kind}, {"name", ref.Name}} {
		if f.value == "" {
			errs = append(errs, field.Required(fldPath.Child(f.name), "a binding is about one template; write its apiVersion, kind and name"))
		}
	}
	return errs
}

func validateComponents(components []workv1alpha2.Component, fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range components {
		c, p := &components[i], fldPath.Index(i)
		errs = append(errs, uniqueName(c.Name, seen, p.Child("name"))...)
		if len(c.Name) > maxComponentName {
			errs = append(errs, field.TooLong(p.Child("name"), c.Name, maxComponentName))
		}
		errs = append(errs, notNegative(c.Replicas, p.Child("replicas"))...)
	}
	return errs
}

func validateTargets(clusters []workv1alpha2.TargetCluster, fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range clusters {
		c, p := &clusters[i], fldPath.Index(i)
		errs = append(errs, uniqueName(c.Name, seen, p.Child("name"))...)
		errs = append(errs, notNegative(c.Replicas, p.Child("replicas"))...)
		seenHere := sets.New[string]()
		for j, component := range c.Components {
			cp := p.Child("components").Index(j)
			errs = append(errs, uniqueName(component.Name, seenHere, cp.Child("name"))...)
			errs = append(errs, notNegative(component.Replicas, cp.Child("replicas"))...)
		}
	}
	return errs
}

func validateEviction(task *workv1alpha2.GracefulEvictionTask, fldPath *field.Path) field.ErrorList {
	errs := policyvalidation.ValidatePurgeMode(task.PurgeMode, fldPath.Child("purgeMode"))
	if task.FromCluster == "" {
		errs = append(errs, field.Required(fldPath.Child("fromCluster"), "name the cluster that is left"))
	}
	if task.Producer == "" {
		errs = append(errs, field.Required(fldPath.Child("producer"), "name the controller that asks for the eviction"))
	}
	reason := fldPath.Child("reason")
	switch {
	case task.Reason == "":
		errs = append(errs, field.Required(reason, "give a reason in one CamelCase word"))
	case len(task.Reason) > maxEvictionReason:
		errs = append(errs, field.TooLong(reason, task.Reason, maxEvictionReason))
	case !evictionReason.MatchString(task.Reason):
		errs = append(errs, field.Invalid(reason, task.Reason, "must be one CamelCase word; explain in message"))
	}
	if len(task.Message) > maxEvictionMessage {
		errs = append(errs, field.TooLong(fldPath.Child("message"), task.Message, maxEvictionMessage))
	}
	if task.GracePeriodSeconds != nil {
		errs = append(errs, notNegative(*task.GracePeriodSeconds, fldPath.Child("gracePeriodSeconds"))...)
		if task.SuppressDeletion != nil {
			errs = append(errs, field.Forbidden(fldPath.Child("suppressDeletion"),
				"gracePeriodSeconds is set too; keep one, the copy is either deleted in time or kept"))
		}
	}
	return errs
}

// uniqueName checks the key of a list item.
func uniqueName(name string, seen sets.Set[string], fldPath *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(fldPath, "items are told apart by it")}
	}
	if seen.Has(name) {
		return field.ErrorList{field.Duplicate(fldPath, name)}
	}
	seen.Insert(name)
	return nil
}

func notNegative(value int32, fldPath *field.Path) field.ErrorList {
	if value < 0 {
		return field.ErrorList{field.Invalid(fldPath, value, "must not be negative")}
	}
	return nil
}
