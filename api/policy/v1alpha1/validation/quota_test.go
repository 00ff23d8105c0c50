package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

func cpu(quantity string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(quantity)}
}

func TestValidateFederatedResourceQuota(t *testing.T) {
	assign := func(cluster, quantity string) policyv1alpha1.StaticClusterAssignment {
		return policyv1alpha1.StaticClusterAssignment{ClusterName: cluster, Hard: cpu(quantity)}
	}
	cases := map[string]struct {
		reason string
		spec   policyv1alpha1.FederatedResourceQuotaSpec
		want   []string
	}{
		"Valid":     {reason: "The parts fit.", spec: policyv1alpha1.FederatedResourceQuotaSpec{Overall: cpu("10"), StaticAssignments: []policyv1alpha1.StaticClusterAssignment{assign("eu", "6"), assign("ap", "4")}}},
		"TooMuch":   {reason: "The parts do not fit.", spec: policyv1alpha1.FederatedResourceQuotaSpec{Overall: cpu("10"), StaticAssignments: []policyv1alpha1.StaticClusterAssignment{assign("eu", "6"), assign("ap", "5")}}, want: []string{"spec.staticAssignments FieldValueInvalid"}},
		"Negative":  {reason: "Nobody has less than nothing.", spec: policyv1alpha1.FederatedResourceQuotaSpec{Overall: cpu("-1")}, want: []string{"spec.overall[cpu] FieldValueInvalid"}},
		"Duplicate": {reason: "It is not clear which part counts.", spec: policyv1alpha1.FederatedResourceQuotaSpec{Overall: cpu("10"), StaticAssignments: []policyv1alpha1.StaticClusterAssignment{assign("eu", "1"), assign("eu", "1")}}, want: []string{"spec.staticAssignments[1].clusterName FieldValueDuplicate"}},
		"BadName":   {reason: "There is no such resource.", spec: policyv1alpha1.FederatedResourceQuotaSpec{Overall: corev1.ResourceList{"a b": resource.MustParse("1")}}, want: []string{"spec.overall[a b] FieldValueInvalid"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			quota := &policyv1alpha1.FederatedResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "q"}, Spec: tc.spec}
			if diff := cmp.Diff(tc.want, summary(ValidateFederatedResourceQuota(quota))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			old := &policyv1alpha1.FederatedResourceQuota{}
			if diff := cmp.Diff(tc.want, summary(ValidateFederatedResourceQuotaUpdate(quota, old))); diff != "" {
				t.Errorf("An update must be held to the same: %s (-want +got):\n%s", tc.reason, diff)
			}
			if errs := ValidateFederatedResourceQuotaUpdate(quota, quota.DeepCopy()); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
		})
	}
}

func TestValidateClusterTaintPolicy(t *testing.T) {
	type spec = policyv1alpha1.ClusterTaintPolicySpec
	taint := policyv1alpha1.Taint{Key: "down", Effect: corev1.TaintEffectNoExecute}
	cases := map[string]struct {
		reason string
		spec   spec
		want   []string
	}{
		"Valid": {reason: "An ordinary policy.", spec: spec{Taints: []policyv1alpha1.Taint{taint},
			AddOnConditions: []policyv1alpha1.MatchCondition{{ConditionType: "Ready", Operator: "NotIn", StatusValues: []metav1.ConditionStatus{"True"}}}}},
		"SameTaint": {reason: "A cluster has one taint of a key and effect.", spec: spec{Taints: []policyv1alpha1.Taint{taint, taint}}, want: []string{"spec.taints[1] FieldValueDuplicate"}},
		"Prefer":    {reason: "Clusters are not merely preferred against.", spec: spec{Taints: []policyv1alpha1.Taint{{Key: "a", Effect: corev1.TaintEffectPreferNoSchedule}}}, want: []string{"spec.taints[0].effect FieldValueNotSupported"}},
		"BadStatus": {reason: "No condition has that status.", spec: spec{Taints: []policyv1alpha1.Taint{taint},
			RemoveOnConditions: []policyv1alpha1.MatchCondition{{ConditionType: "Ready", Operator: "In", StatusValues: []metav1.ConditionStatus{"Yes"}}}},
			want: []string{"spec.removeOnConditions[0].statusValues[0] FieldValueNotSupported"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy := &policyv1alpha1.ClusterTaintPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: tc.spec}
			if diff := cmp.Diff(tc.want, summary(ValidateClusterTaintPolicy(policy))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want, summary(ValidateClusterTaintPolicyUpdate(policy, &policyv1alpha1.ClusterTaintPolicy{}))); diff != "" {
				t.Errorf("An update must be held to the same: %s (-want +got):\n%s", tc.reason, diff)
			}
			if errs := ValidateClusterTaintPolicyUpdate(policy, policy.DeepCopy()); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
		})
	}
}
