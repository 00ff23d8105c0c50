package api_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	clustervalidation "github.com/flotilla-io/flotilla/api/cluster/v1alpha1/validation"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	policyvalidation "github.com/flotilla-io/flotilla/api/policy/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/api/scheme"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha1validation "github.com/flotilla-io/flotilla/api/work/v1alpha1/validation"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	workvalidation "github.com/flotilla-io/flotilla/api/work/v1alpha2/validation"
)

// validate runs every check there is for the object; false when there is none.
func validate(obj runtime.Object) (field.ErrorList, bool) {
	switch o := obj.(type) {
	case *clusterv1alpha1.Cluster:
		return append(clustervalidation.ValidateCluster(o), clustervalidation.ValidateClusterStatusUpdate(o, o)...), true
	case policyv1alpha1.Policy:
		return policyvalidation.ValidatePolicy(o), true
	case policyv1alpha1.Override:
		return policyvalidation.ValidateOverride(o), true
	case *policyv1alpha1.ClusterTaintPolicy:
		return policyvalidation.ValidateClusterTaintPolicy(o), true
	case *policyv1alpha1.FederatedResourceQuota:
		return append(policyvalidation.ValidateFederatedResourceQuota(o),
			policyvalidation.ValidateFederatedResourceQuotaStatusUpdate(o, o)...), true
	case workv1alpha2.Binding:
		return append(workvalidation.ValidateBinding(o), workvalidation.ValidateBindingStatusUpdate(o, o)...), true
	case *workv1alpha1.Work:
		return append(workv1alpha1validation.ValidateWork(o), workv1alpha1validation.ValidateWorkStatusUpdate(o, o)...), true
	}
	return nil, false
}

// unchecked are parts of bindings that the control plane copies out of
// templates, whose own validation has checked them, and conditions, which
// Kubernetes' own validation checks in its own words.
var unchecked = []string{"spec.replicaRequirements.", "spec.components[].replicaRequirements.", "status.conditions[]."}

// TestConstraintsOfWireAreChecked breaks every constraint of the contract, one
// at a time, and expects an error at that very path.
func TestConstraintsOfWireAreChecked(t *testing.T) {
	tested := 0
	for gvk, kind := range loadWire(t) {
		for path, f := range kind.Fields {
			if obj, _ := scheme.Scheme.New(gvk); !hasValidation(obj) || isUnchecked(path) {
				continue
			}
			for what, bad := range violations(path, f) {
				tested++
				t.Run(gvk.Kind+"/"+path+"/"+what, func(t *testing.T) {
					errs := errorsAt(t, gvk, path, bad)
					if len(errs) == 0 {
						t.Errorf("%v is accepted at %s, though the contract has: %s", bad, path, what)
					}
					for _, err := range errs {
						if err.Detail == "" {
							t.Errorf("the error does not say what to do: %v", err)
						}
					}
				})
			}
		}
	}
	if tested < 200 {
		t.Errorf("only %d constraints found in the contract; the table was misread", tested)
	}
}

// TestEnumsOfWireAreAccepted writes every value that the contract allows.
func TestEnumsOfWireAreAccepted(t *testing.T) {
	for gvk, kind := range loadWire(t) {
		for path, f := range kind.Fields {
			if obj, _ := scheme.Scheme.New(gvk); !hasValidation(obj) || isUnchecked(path) {
				continue
			}
			for _, value := range f.Enum {
				for _, err := range errorsAt(t, gvk, path, value) {
					if err.Type == field.ErrorTypeNotSupported || err.Type == field.ErrorTypeRequired {
						t.Errorf("%s: %s is refused: %v", gvk.Kind, path, err)
					}
				}
			}
		}
	}
}

func hasValidation(obj runtime.Object) bool {
	_, ok := validate(obj)
	return ok
}

func isUnchecked(path string) bool {
	for _, prefix := range unchecked {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// violations are values that break the constraints of a field, by constraint.
func violations(path string, f wireField) map[string]any {
	bad := map[string]any{}
	if f.Required && f.Type == "string" && f.Format == "" {
		bad["required"] = ""
	}
	// What is not given cannot be told from an empty object in Go, unless it is
	// a list or a map.
	if f.Required && f.Type == "array" && !strings.HasSuffix(path, ".ranges") {
		bad["required"] = nil
	}
	if len(f.Enum) > 0 {
		bad["enum"] = "Bogus"
	}
	if f.MinItems != nil && *f.MinItems > 0 {
		bad["minItems"] = []any{}
	}
	if f.MinLength != nil && *f.MinLength > 0 {
		bad["minLength"] = ""
	}
	if f.MaxLength != nil {
		bad["maxLength"] = strings.Repeat("a", *f.MaxLength+1)
	}
	if f.Minimum != nil {
		bad["minimum"] = *f.Minimum - 1
	}
	if f.Maximum != nil {
		bad["maximum"] = *f.Maximum + 1
	}
	if f.Pattern != "" && f.Type == "string" {
		bad["pattern"] = "!"
	}
	return bad
}

func errorsAt(t *testing.T, gvk schema.GroupVersionKind, path string, value any) field.ErrorList {
	t.Helper()
	doc := map[string]any{}
	put(doc, path, value)
	obj := decode(t, gvk, doc)
	// Not defaulted: an empty value must be refused, not filled.
	errs, _ := validate(obj)
	want := strings.ReplaceAll(path, "[]", "[0]")
	var at field.ErrorList
	for _, err := range errs {
		if err.Field == want {
			at = append(at, err)
		}
	}
	return at
}
