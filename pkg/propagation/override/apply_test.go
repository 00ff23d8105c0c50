package override

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

const (
	add     = policyv1alpha1.OverriderOpAdd
	remove  = policyv1alpha1.OverriderOpRemove
	replace = policyv1alpha1.OverriderOpReplace
)

type overriders = policyv1alpha1.Overriders

func cluster(name string) *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := obj.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return obj
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 3
  template:
    spec:
      initContainers:
      - {name: setup, image: busybox}
      containers:
      - {name: web, image: "nginx:1.29", command: [nginx], args: [-g, daemon off;]}
      - {name: side, image: "registry.example.com:5000/team/side@sha256:abc"}
`

func jsonValue(s string) apiextensionsv1.JSON { return apiextensionsv1.JSON{Raw: []byte(s)} }

func plaintext(op policyv1alpha1.OverriderOperator, path, value string) overriders {
	return overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: path, Operator: op, Value: jsonValue(value)}}}
}

func clusterPolicy(name string, rules ...policyv1alpha1.RuleWithCluster) *policyv1alpha1.ClusterOverridePolicy {
	return &policyv1alpha1.ClusterOverridePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       policyv1alpha1.OverrideSpec{OverrideRules: rules},
	}
}

func policy(namespace, name string, rules ...policyv1alpha1.RuleWithCluster) *policyv1alpha1.OverridePolicy {
	return &policyv1alpha1.OverridePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       policyv1alpha1.OverrideSpec{OverrideRules: rules},
	}
}

func everywhere(o overriders) policyv1alpha1.RuleWithCluster {
	return policyv1alpha1.RuleWithCluster{Overriders: o}
}

func in(name string, o overriders) policyv1alpha1.RuleWithCluster {
	return policyv1alpha1.RuleWithCluster{TargetCluster: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{name}}, Overriders: o}
}

func TestApplyOrder(t *testing.T) {
	obj := object(t, deployment)
	label := func(value string) policyv1alpha1.RuleWithCluster {
		return everywhere(overriders{LabelsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{Operator: add, Value: map[string]string{"last": value}}}})
	}
	applied, err := Apply(obj, cluster("eu"),
		[]*policyv1alpha1.ClusterOverridePolicy{clusterPolicy("z", label("z")), clusterPolicy("b", label("b1"), label("b2"))},
		[]*policyv1alpha1.OverridePolicy{policy("shop", "m", label("m")), policy("shop", "a", label("a")), policy("bank", "zz", label("zz"))},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.GetLabels()["last"]; got != "m" {
		t.Errorf("The last policy by scope, then by name, wins; %q did.", got)
	}
	var order []string
	for _, rules := range [][]AppliedRule{applied.ClusterOverrides, applied.Overrides} {
		for _, r := range rules {
			order = append(order, r.PolicyName+"="+r.Overriders.LabelsOverrider[0].Value["last"])
		}
	}
	if diff := cmp.Diff([]string{"b=b1", "b=b2", "z=z", "a=a", "m=m"}, order); diff != "" {
		t.Errorf("Scope, name, rule is the order (-want +got):\n%s", diff)
	}
}

func TestApplyOrderInsideRule(t *testing.T) {
	obj := object(t, deployment)
	rule := overriders{
		Plaintext:       []policyv1alpha1.PlaintextOverrider{{Path: "/metadata/labels/a", Operator: replace, Value: jsonValue(`"plaintext"`)}},
		LabelsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{Operator: add, Value: map[string]string{"a": "labels"}}},
	}
	if _, err := Apply(obj, cluster("eu"), nil, []*policyv1alpha1.OverridePolicy{policy("shop", "p", everywhere(rule))}); err != nil {
		t.Fatalf("Plaintext must come after labels, which add what it replaces: %v", err)
	}
	if got := obj.GetLabels()["a"]; got != "plaintext" {
		t.Errorf("Plaintext comes last, but %q is there.", got)
	}
}

func TestApplySelection(t *testing.T) {
	change := everywhere(plaintext(replace, "/spec/replicas", "1"))
	selecting := func(s ...policyv1alpha1.ResourceSelector) *policyv1alpha1.OverridePolicy {
		p := policy("shop", "p", change)
		p.Spec.ResourceSelectors = s
		return p
	}
	cases := map[string]struct {
		reason string
		policy *policyv1alpha1.OverridePolicy
		want   bool
	}{
		"Everything":     {reason: "No selectors: the whole namespace.", policy: selecting(), want: true},
		"OtherNamespace": {reason: "A policy reaches its own namespace.", policy: policy("bank", "p", change)},
		"Kind":           {reason: "The kind agrees.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}), want: true},
		"OtherKind":      {reason: "The kind differs.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Service"})},
		"OtherGroup":     {reason: "The group differs.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "extensions/v1", Kind: "Deployment"})},
		"OtherVersion":   {reason: "Versions are one kind.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1beta1", Kind: "Deployment"}), want: true},
		"Name":           {reason: "The name agrees, labels are not looked at.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "no"}}}), want: true},
		"OtherName":      {reason: "The name differs.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"})},
		"Labels":         {reason: "The labels agree.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}), want: true},
		"OtherLabels":    {reason: "The labels differ.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}})},
		"SecondSelector": {reason: "One of several is enough.", policy: selecting(policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Service"}, policyv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}), want: true},
		"OtherCluster":   {reason: "The rule is for another cluster.", policy: policy("shop", "p", in("ap", plaintext(replace, "/spec/replicas", "1")))},
		"ThisCluster":    {reason: "The rule is for this cluster.", policy: policy("shop", "p", in("eu", plaintext(replace, "/spec/replicas", "1"))), want: true},
		"NoOverriders":   {reason: "Nothing to do is not recorded.", policy: policy("shop", "p", everywhere(overriders{}))},
		"Deprecated": {reason: "The old form still works.", policy: &policyv1alpha1.OverridePolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"},
			Spec:       policyv1alpha1.OverrideSpec{TargetCluster: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}, Overriders: plaintext(replace, "/spec/replicas", "1")},
		}, want: true},
		"DeprecatedOther": {reason: "The old form has targets too.", policy: &policyv1alpha1.OverridePolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"},
			Spec:       policyv1alpha1.OverrideSpec{TargetCluster: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap"}}, Overriders: plaintext(replace, "/spec/replicas", "1")},
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			obj := object(t, deployment)
			applied, err := Apply(obj, cluster("eu"), nil, []*policyv1alpha1.OverridePolicy{tc.policy})
			if err != nil {
				t.Fatal(err)
			}
			replicas, _, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
			if got := replicas == 1; got != tc.want {
				t.Errorf("%s Changed: %v, want %v", tc.reason, got, tc.want)
			}
			if got := len(applied.Overrides) == 1; got != tc.want {
				t.Errorf("%s Recorded: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestApplyFailsWhole(t *testing.T) {
	broken := policy("shop", "broken",
		everywhere(overriders{LabelsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{Operator: add, Value: map[string]string{"half": "done"}}}}),
		in("eu", overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{
			{Path: "/spec/replicas", Operator: replace, Value: jsonValue("1")},
			{Path: "/spec/nowhere/at/all", Operator: replace, Value: jsonValue("1")},
		}}),
	)
	obj := object(t, deployment)
	applied, err := Apply(obj, cluster("eu"), nil, []*policyv1alpha1.OverridePolicy{broken})
	var ruleErr *RuleError
	if !errors.As(err, &ruleErr) || !errors.Is(err, ErrPatchFailed) {
		t.Fatalf("want a RuleError about a failed patch, got %v", err)
	}
	ruleErr.Err = nil
	want := &RuleError{
		Policy: "OverridePolicy shop/broken", Rule: 1, Field: "spec.overrideRules[1].overriders.plaintext[1]",
		Cluster: "eu", Object: "Deployment shop/web",
	}
	if diff := cmp.Diff(want, ruleErr); diff != "" {
		t.Errorf("The error must say where to look (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(object(t, deployment), obj); diff != "" {
		t.Errorf("A manifest that cannot be made whole must be left alone:\n%s", diff)
	}
	if diff := cmp.Diff(Applied{}, applied); diff != "" {
		t.Errorf("Nothing was applied:\n%s", diff)
	}
	if _, err := Apply(obj, cluster("ap"), nil, []*policyv1alpha1.OverridePolicy{broken}); err != nil {
		t.Errorf("The broken rule is not for that cluster: %v", err)
	}
}

func TestApplyKeepsIdentity(t *testing.T) {
	for path, value := range map[string]string{
		"/kind": `"StatefulSet"`, "/apiVersion": `"v1"`, "/metadata/name": `"x"`, "/metadata/namespace": `"x"`, "/metadata": `{}`, "": `{}`,
	} {
		obj := object(t, deployment)
		_, err := Apply(obj, cluster("eu"), []*policyv1alpha1.ClusterOverridePolicy{clusterPolicy("p", everywhere(plaintext(replace, path, value)))}, nil)
		if err == nil {
			t.Errorf("%q: the identity of the object was changed", path)
		}
		if diff := cmp.Diff(object(t, deployment), obj); diff != "" {
			t.Errorf("%q: the manifest was changed:\n%s", path, diff)
		}
	}
}

func TestBadTargetIsAnError(t *testing.T) {
	rule := everywhere(plaintext(replace, "/spec/replicas", "1"))
	rule.TargetCluster = &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a b": ""}}}
	_, err := Apply(object(t, deployment), cluster("eu"), []*policyv1alpha1.ClusterOverridePolicy{clusterPolicy("p", rule)}, nil)
	var ruleErr *RuleError
	if !errors.As(err, &ruleErr) || ruleErr.Field != "spec.overrideRules[0].targetCluster" {
		t.Errorf("Whether the rule is for the cluster cannot be known; got %v", err)
	}
}

func TestAnnotations(t *testing.T) {
	obj := object(t, deployment)
	applied, err := Apply(obj, cluster("eu"),
		[]*policyv1alpha1.ClusterOverridePolicy{clusterPolicy("c", everywhere(plaintext(replace, "/spec/replicas", "1")))},
		[]*policyv1alpha1.OverridePolicy{policy("shop", "p", everywhere(plaintext(remove, "/spec/replicas", "")))})
	if err != nil {
		t.Fatal(err)
	}
	got, err := applied.Annotations()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		names.AppliedClusterOverridesAnnotation: `[{"policyName":"c","overriders":{"plaintext":[{"path":"/spec/replicas","operator":"replace","value":1}]}}]`,
		names.AppliedOverridesAnnotation:        `[{"policyName":"p","overriders":{"plaintext":[{"path":"/spec/replicas","operator":"remove","value":null}]}}]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Tools read these annotations (-want +got):\n%s", diff)
	}
	if got, _ := (&Applied{}).Annotations(); got != nil {
		t.Errorf("Nothing applied, nothing recorded; got %v", got)
	}
}
