package override

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// selects says whether a policy is about the manifest at all.
func selects(policy policyv1alpha1.Override, obj *unstructured.Unstructured) bool {
	return Selects(policy, obj.GroupVersionKind().GroupKind(), obj)
}

// Selects says whether a policy is about an object of a kind at all. A policy
// without selectors is about everything that it reaches: a namespaced one
// reaches its own namespace. Versions of one kind are one kind, as they are for
// propagation policies. A selector that cannot be understood selects nothing.
func Selects(policy policyv1alpha1.Override, kind schema.GroupKind, obj metav1.Object) bool {
	if !isClusterScoped(policy) && policy.GetNamespace() != obj.GetNamespace() {
		return false
	}
	selectors := policy.GetSpec().ResourceSelectors
	if len(selectors) == 0 {
		return true
	}
	for i := range selectors {
		if selectorMatches(&selectors[i], kind, obj) {
			return true
		}
	}
	return false
}

func selectorMatches(s *policyv1alpha1.ResourceSelector, kind schema.GroupKind, obj metav1.Object) bool {
	gv, err := schema.ParseGroupVersion(s.APIVersion)
	if err != nil || kind != gv.WithKind(s.Kind).GroupKind() {
		return false
	}
	if s.Namespace != "" && s.Namespace != obj.GetNamespace() {
		return false
	}
	if s.Name != "" {
		return s.Name == obj.GetName()
	}
	if s.LabelSelector == nil {
		return true
	}
	selector, err := metav1.LabelSelectorAsSelector(s.LabelSelector)
	return err == nil && selector.Matches(labels.Set(obj.GetLabels()))
}
