package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

func TestValidateOverride(t *testing.T) {
	const add, remove, replace = policyv1alpha1.OverriderOpAdd, policyv1alpha1.OverriderOpRemove, policyv1alpha1.OverriderOpReplace
	value := apiextensionsv1.JSON{Raw: []byte("1")}
	type overriders = policyv1alpha1.Overriders
	plaintext := func(path string) overriders {
		return overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: path, Operator: replace, Value: value}}}
	}
	const at = "spec.overrideRules[0].overriders."
	cases := map[string]struct {
		reason string
		in     overriders
		want   []string
	}{
		"Empty":         {reason: "A rule that changes nothing harms nothing.", in: overriders{}},
		"Replicas":      {reason: "An ordinary path.", in: plaintext("/spec/replicas")},
		"Annotation":    {reason: "Metadata other than the identity may change.", in: plaintext("/metadata/annotations/a~1b")},
		"NameOfNested":  {reason: "A name further down identifies something else.", in: plaintext("/spec/template/metadata/name")},
		"NoSlash":       {reason: "It is no JSON pointer.", in: plaintext("spec/replicas"), want: []string{at + "plaintext[0].path FieldValueInvalid"}},
		"Whole":         {reason: "The whole document cannot be replaced.", in: plaintext("/"), want: []string{at + "plaintext[0].path FieldValueInvalid"}},
		"BadEscape":     {reason: "A lone tilde is no escape.", in: plaintext("/metadata/annotations/a~b"), want: []string{at + "plaintext[0].path FieldValueInvalid"}},
		"Kind":          {reason: "It would be another object.", in: plaintext("/kind"), want: []string{at + "plaintext[0].path FieldValueForbidden"}},
		"APIVersion":    {reason: "It would be another object.", in: plaintext("/apiVersion"), want: []string{at + "plaintext[0].path FieldValueForbidden"}},
		"Name":          {reason: "It would be another object.", in: plaintext("/metadata/name"), want: []string{at + "plaintext[0].path FieldValueForbidden"}},
		"Namespace":     {reason: "It would be another object.", in: plaintext("/metadata/namespace"), want: []string{at + "plaintext[0].path FieldValueForbidden"}},
		"Metadata":      {reason: "The name is in it.", in: plaintext("/metadata"), want: []string{at + "plaintext[0].path FieldValueForbidden"}},
		"NoValue":       {reason: "Null is put.", in: overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: "/spec/a", Operator: add}}}},
		"NoOperator":    {reason: "It is not known what to do.", in: overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: "/spec/a", Value: value}}}, want: []string{at + "plaintext[0].operator FieldValueRequired"}},
		"RemoveNoValue": {reason: "Nothing is needed to remove.", in: overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: "/spec/a", Operator: remove}}}},
		"ImageNoValue":  {reason: "A registry is replaced by none.", in: overriders{ImageOverrider: []policyv1alpha1.ImageOverrider{{Component: policyv1alpha1.Registry, Operator: replace}}}},
		"ImageRemove":   {reason: "Nothing is needed to remove.", in: overriders{ImageOverrider: []policyv1alpha1.ImageOverrider{{Component: policyv1alpha1.Registry, Operator: remove}}}},
		"ImagePath":     {reason: "A name is not an image.", in: overriders{ImageOverrider: []policyv1alpha1.ImageOverrider{{Component: policyv1alpha1.Tag, Operator: remove, Predicate: &policyv1alpha1.ImagePredicate{Path: "/metadata/name"}}}}, want: []string{at + "imageOverrider[0].predicate.path FieldValueForbidden"}},
		"ArgsReplace":   {reason: "Arguments are added and removed only.", in: overriders{ArgsOverrider: []policyv1alpha1.CommandArgsOverrider{{ContainerName: "a", Operator: replace}}}, want: []string{at + "argsOverrider[0].operator FieldValueNotSupported"}},
		"NoContainer":   {reason: "It must be known whose command.", in: overriders{CommandOverrider: []policyv1alpha1.CommandArgsOverrider{{Operator: add}}}, want: []string{at + "commandOverrider[0].containerName FieldValueRequired"}},
		"BadLabel":      {reason: "The member would refuse it.", in: overriders{LabelsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{Operator: add, Value: map[string]string{"a": "b c"}}}}, want: []string{at + "labelsOverrider[0].value FieldValueInvalid"}},
		"RemoveLabel":   {reason: "The value of what goes does not matter.", in: overriders{LabelsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{Operator: remove, Value: map[string]string{"a": "b c"}}}}},
		"BadAnnotation": {reason: "The member would refuse it.", in: overriders{AnnotationsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{Operator: add, Value: map[string]string{"a b": "c"}}}}, want: []string{at + "annotationsOverrider[0].value FieldValueInvalid"}},
		"FieldNoFormat": {reason: "The format is not known.", in: overriders{FieldOverrider: []policyv1alpha1.FieldOverrider{{FieldPath: "/data/a"}}}, want: []string{at + "fieldOverrider[0].json FieldValueRequired"}},
		"FieldTwoFormats": {reason: "A text is in one format.", in: overriders{FieldOverrider: []policyv1alpha1.FieldOverrider{{FieldPath: "/data/a",
			JSON: []policyv1alpha1.JSONPatchOperation{{SubPath: "/a", Operator: remove}}, YAML: []policyv1alpha1.YAMLPatchOperation{{SubPath: "/a", Operator: remove}}}}},
			want: []string{at + "fieldOverrider[0].yaml FieldValueForbidden"}},
		"FieldInside": {reason: "Within a text, kind is a word like any other.", in: overriders{FieldOverrider: []policyv1alpha1.FieldOverrider{{FieldPath: "/data/a",
			YAML: []policyv1alpha1.YAMLPatchOperation{{SubPath: "/kind", Operator: replace, Value: value}}}}}},
		"FieldIdentity": {reason: "A name is not a document.", in: overriders{FieldOverrider: []policyv1alpha1.FieldOverrider{{FieldPath: "/metadata/name",
			JSON: []policyv1alpha1.JSONPatchOperation{{SubPath: "/a", Operator: remove}}}}},
			want: []string{at + "fieldOverrider[0].fieldPath FieldValueForbidden"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy := &policyv1alpha1.OverridePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
			policy.Spec.OverrideRules = []policyv1alpha1.RuleWithCluster{{Overriders: tc.in}}
			if diff := cmp.Diff(tc.want, summary(ValidateOverride(policy))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			old := policy.DeepCopy()
			old.Spec.ResourceSelectors = []policyv1alpha1.ResourceSelector{{APIVersion: "v1", Kind: "Pod"}}
			if diff := cmp.Diff(tc.want, summary(ValidateOverrideUpdate(policy, old))); diff != "" {
				t.Errorf("An update must be held to the same: %s (-want +got):\n%s", tc.reason, diff)
			}
			if errs := ValidateOverrideUpdate(policy, policy.DeepCopy()); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
		})
	}
}

func TestDeprecatedOverridersStandAlone(t *testing.T) {
	policy := &policyv1alpha1.ClusterOverridePolicy{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	policy.Spec.Overriders.ImageOverrider = []policyv1alpha1.ImageOverrider{{Component: policyv1alpha1.Tag, Operator: policyv1alpha1.OverriderOpRemove}}
	if errs := ValidateOverride(policy); len(errs) > 0 {
		t.Errorf("Old manifests are still valid: %v", errs)
	}
	policy.Spec.OverrideRules = []policyv1alpha1.RuleWithCluster{{}}
	if diff := cmp.Diff([]string{"spec.overrideRules FieldValueForbidden"}, summary(ValidateOverride(policy))); diff != "" {
		t.Errorf("Both together have no order (-want +got):\n%s", diff)
	}
}

func TestDeprecatedOverridersThatAreEmpty(t *testing.T) {
	policy := &policyv1alpha1.OverridePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	policy.Spec.OverrideRules = []policyv1alpha1.RuleWithCluster{{}}
	policy.Spec.Overriders.Plaintext = []policyv1alpha1.PlaintextOverrider{}
	policy.Spec.ResourceSelectors = []policyv1alpha1.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "bank"}}
	if errs := ValidateOverride(policy); len(errs) > 0 {
		t.Errorf("Empty lists override nothing, and another namespace is not reached: %v", errs)
	}
}
