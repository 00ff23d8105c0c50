// Package validation checks Works (work.karmada.io/v1alpha1) that someone
// stores, on creation and update. Works that the API server computes do not pass
// here. Bindings of this version are checked after their conversion to v1alpha2.
//
// The functions are pure, never panic and are safe for concurrent use.
package validation

import (
	"encoding/json"
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// ValidateWork checks a new Work.
func ValidateWork(work *workv1alpha1.Work) field.ErrorList {
	meta := field.NewPath("metadata")
	errs := apivalidation.ValidateObjectMeta(&work.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, meta)
	if _, ok := names.ClusterOf(work.Namespace); !ok {
		errs = append(errs, field.Invalid(meta.Child("namespace"), work.Namespace,
			fmt.Sprintf("is not an execution namespace, so no cluster would take it; use %s", names.ExecutionNamespace("<cluster>"))))
	}
	return append(errs, validateSpec(&work.Spec, field.NewPath("spec"))...)
}

// ValidateWorkUpdate checks a changed Work.
func ValidateWorkUpdate(work, old *workv1alpha1.Work) field.ErrorList {
	if apiequality.Semantic.DeepEqual(work.Spec, old.Spec) {
		return nil // what was stored under older rules can be labelled and deleted
	}
	return validateSpec(&work.Spec, field.NewPath("spec"))
}

// ValidateWorkStatusUpdate checks a changed status.
func ValidateWorkStatusUpdate(work, _ *workv1alpha1.Work) field.ErrorList {
	status, path := &work.Status, field.NewPath("status")
	errs := metav1validation.ValidateConditions(status.Conditions, path.Child("conditions"))
	health := []workv1alpha1.ResourceHealth{workv1alpha1.ResourceHealthy, workv1alpha1.ResourceUnhealthy, workv1alpha1.ResourceUnknown}
	for i := range status.ManifestStatuses {
		s, p := &status.ManifestStatuses[i], path.Child("manifestStatuses").Index(i)
		if s.Health != "" && !slices.Contains(health, s.Health) {
			errs = append(errs, field.NotSupported(p.Child("health"), s.Health, health))
		}
		id := &s.Identifier
		for _, f := range []struct{ name, value string }{
			{"version", id.Version}, {"kind", id.Kind}, {"resource", id.Resource}, {"name", id.Name},
		} {
			if f.value == "" {
				errs = append(errs, field.Required(p.Child("identifier", f.name), "identify the manifest"))
			}
		}
	}
	return errs
}

func validateSpec(spec *workv1alpha1.WorkSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range spec.Workload.Manifests {
		errs = append(errs, validateManifest(spec.Workload.Manifests[i].Raw, path.Child("workload", "manifests").Index(i))...)
	}
	return errs
}

// validateManifest checks that a manifest says which object it is.
func validateManifest(raw []byte, path *field.Path) field.ErrorList {
	var manifest struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if len(raw) == 0 {
		return field.ErrorList{field.Required(path, "write a whole Kubernetes object")}
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return field.ErrorList{field.Invalid(path, "(manifest)", "cannot be read as a Kubernetes object: "+err.Error())}
	}
	var errs field.ErrorList
	if manifest.APIVersion == "" {
		errs = append(errs, field.Required(path.Child("apiVersion"), "write the object's apiVersion"))
	}
	if manifest.Kind == "" {
		errs = append(errs, field.Required(path.Child("kind"), "write the object's kind"))
	}
	if manifest.Metadata.Name == "" {
		errs = append(errs, field.Required(path.Child("metadata", "name"), "name the object; generateName would make another one at each change"))
	}
	return errs
}
