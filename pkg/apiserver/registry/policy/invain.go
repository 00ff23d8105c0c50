package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// warnOverride tells what of an override policy means nothing where it stands.
func warnOverride(spec *policyv1alpha1.OverrideSpec, namespace string) []string {
	var t told
	path := field.NewPath("spec")
	t.selectors(spec.ResourceSelectors, namespace, path.Child("resourceSelectors"))
	for i := range spec.OverrideRules {
		at := path.Child("overrideRules").Index(i)
		t.affinity(spec.OverrideRules[i].TargetCluster, at.Child("targetCluster"))
		t.overriders(&spec.OverrideRules[i].Overriders, at.Child("overriders"))
	}
	t.affinity(spec.TargetCluster, path.Child("targetCluster"))
	t.overriders(&spec.Overriders, path.Child("overriders"))
	return t
}

func (t *told) overriders(o *policyv1alpha1.Overriders, path *field.Path) {
	for i := range o.ImageOverrider {
		image := &o.ImageOverrider[i]
		t.inVain(image.Value == "" && image.Operator == policyv1alpha1.OverriderOpAdd,
			path.Child("imageOverrider").Index(i).Child("value"), "it is empty, so nothing is added")
	}
	for i := range o.Plaintext {
		text := &o.Plaintext[i]
		t.inVain(len(text.Value.Raw) == 0 && text.Operator != policyv1alpha1.OverriderOpRemove,
			path.Child("plaintext").Index(i).Child("value"), "it is missing, so null is written; use operator remove to take the field away")
	}
}

// WarnAffinity tells what of an affinity means nothing. Other kinds have one, too.
func WarnAffinity(a *policyv1alpha1.ClusterAffinity, path *field.Path) []string {
	var t told
	t.affinity(a, path)
	return t
}

// selectors looks for templates that a namespaced policy cannot reach.
func (t *told) selectors(selectors []policyv1alpha1.ResourceSelector, namespace string, path *field.Path) {
	for i := range selectors {
		selected := selectors[i].Namespace
		t.inVain(namespace != "" && selected != "" && selected != namespace, path.Index(i).Child("namespace"), fmt.Sprintf(
			"selects nothing, a policy in namespace %q reaches that namespace only; leave it out, or use a cluster-scoped policy", namespace))
	}
}

func (t *told) affinity(a *policyv1alpha1.ClusterAffinity, path *field.Path) {
	if a == nil {
		return
	}
	t.names(a.ClusterNames, path.Child("clusterNames"))
	t.names(a.ExcludeClusters, path.Child("exclude"))
	if a.FieldSelector == nil {
		return
	}
	for i, r := range a.FieldSelector.MatchExpressions {
		match := "no cluster matches"
		if r.Operator == corev1.NodeSelectorOpNotIn {
			match = "every cluster matches"
		}
		t.inVain(len(r.Values) == 0, path.Child("fieldSelector", "matchExpressions").Index(i).Child("values"), "there are none, so "+match)
	}
}

func (t *told) names(names []string, path *field.Path) {
	for i, name := range names {
		t.inVain(name == "", path.Index(i), "an empty name is no cluster's; remove the item")
	}
}

func (t *told) tolerations(tolerations []corev1.Toleration, path *field.Path) {
	for i := range tolerations {
		tolerated, at := &tolerations[i], path.Index(i)
		exists := tolerated.Operator == corev1.TolerationOpExists
		t.notActedOn(tolerated.TolerationSeconds != nil, at.Child("tolerationSeconds"), "nothing is evicted; taints keep new templates away only")
		t.inVain(tolerated.Key == "" && !exists, at.Child("key"), fmt.Sprintf("it is empty, so taints of any key are tolerated that have the value %q", tolerated.Value))
		t.inVain(tolerated.Key != "" && len(metav1validation.ValidateLabelName(tolerated.Key, at)) > 0, at.Child("key"), "no taint can have it")
		t.inVain(exists && tolerated.Value != "", at.Child("value"), "operator Exists compares no value")
		t.inVain(!exists && len(validation.IsValidLabelValue(tolerated.Value)) > 0, at.Child("value"), "no taint can have it")
	}
}
