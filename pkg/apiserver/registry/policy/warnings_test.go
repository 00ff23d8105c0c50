package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/api/policy/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

type (
	spread      = policyv1alpha1.SpreadConstraint
	preferences = policyv1alpha1.ClusterPreferences
	strategy    = policyv1alpha1.ReplicaSchedulingStrategy
)

func placed(change func(p *policyv1alpha1.Placement)) func(*policyv1alpha1.PropagationSpec) {
	return func(s *policyv1alpha1.PropagationSpec) { change(&s.Placement) }
}

func spreading(c spread) func(*policyv1alpha1.PropagationSpec) {
	return placed(func(p *policyv1alpha1.Placement) { p.SpreadConstraints = []spread{c} })
}

func scheduling(r strategy) func(*policyv1alpha1.PropagationSpec) {
	return placed(func(p *policyv1alpha1.Placement) { p.ReplicaScheduling = &r })
}

func tolerating(t corev1.Toleration) func(*policyv1alpha1.PropagationSpec) {
	return placed(func(p *policyv1alpha1.Placement) { p.ClusterTolerations = []corev1.Toleration{t} })
}

func fields(operator corev1.NodeSelectorOperator, values ...string) *policyv1alpha1.FieldSelector {
	return &policyv1alpha1.FieldSelector{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: operator, Values: values}}}
}

const (
	scheduled   = "spec.placement.replicaScheduling"
	tolerations = "spec.placement.clusterTolerations[0]"
	noEffect    = " is stored but has no effect in this version: "
)

var weights = &preferences{StaticWeightList: []policyv1alpha1.StaticClusterWeight{{Weight: 1}}}

// Nothing that has no effect, or another one than it seems to have, is taken
// silently. And what is told of is taken: all of these are valid.
func TestWarnings(t *testing.T) {
	r := propagation("propagationpolicies", "propagationpolicy", "pp", true, nil, nil)
	tests := map[string]struct {
		change func(s *policyv1alpha1.PropagationSpec)
		want   []string // how each warning begins
	}{
		"plain":         {func(*policyv1alpha1.PropagationSpec) {}, nil},
		"propagateDeps": {func(s *policyv1alpha1.PropagationSpec) { s.PropagateDeps = true }, []string{"spec.propagateDeps" + noEffect}},
		"association":   {func(s *policyv1alpha1.PropagationSpec) { s.Association = true }, []string{"spec.association" + noEffect}},
		"dependents":    {func(s *policyv1alpha1.PropagationSpec) { s.DependentOverrides = []string{"x", ""} }, []string{"spec.dependentOverrides" + noEffect}},
		"failover":      {func(s *policyv1alpha1.PropagationSpec) { s.Failover = &policyv1alpha1.FailoverBehavior{} }, []string{"spec.failover" + noEffect}},
		"priority": {func(s *policyv1alpha1.PropagationSpec) {
			s.SchedulePriority = &policyv1alpha1.SchedulePriority{PriorityClassSource: policyv1alpha1.KubePriorityClass, PriorityClassName: "high"}
		}, []string{"spec.schedulePriority" + noEffect + "bindings are scheduled in the order in which they come"}},
		"own namespace":   {func(s *policyv1alpha1.PropagationSpec) { s.ResourceSelectors[0].Namespace = "ns" }, nil},
		"other namespace": {func(s *policyv1alpha1.PropagationSpec) { s.ResourceSelectors[0].Namespace = "bank" }, []string{"spec.resourceSelectors[0].namespace: "}},
		"suspended on nobody": {func(s *policyv1alpha1.PropagationSpec) {
			s.Suspension = &policyv1alpha1.Suspension{Dispatching: ptr.To(true), DispatchingOnClusters: &policyv1alpha1.SuspendClusters{}}
		}, []string{"spec.suspension.dispatchingOnClusters.clusterNames: "}},
		"suspended on some": {func(s *policyv1alpha1.PropagationSpec) {
			s.Suspension = &policyv1alpha1.Suspension{DispatchingOnClusters: &policyv1alpha1.SuspendClusters{ClusterNames: []string{"eu", ""}}}
		}, []string{"spec.suspension.dispatchingOnClusters.clusterNames[1]: "}},

		"spread cluster":    {spreading(spread{SpreadByField: "cluster"}), nil},
		"spread region":     {spreading(spread{SpreadByField: "region"}), []string{"spec.placement.spreadConstraints[0]" + noEffect}},
		"spread label":      {spreading(spread{SpreadByLabel: "x"}), []string{"spec.placement.spreadConstraints[0]" + noEffect}},
		"workload affinity": {placed(func(p *policyv1alpha1.Placement) { p.WorkloadAffinity = &policyv1alpha1.WorkloadAffinity{} }), []string{"spec.placement.workloadAffinity" + noEffect}},
		"overflow": {placed(func(p *policyv1alpha1.Placement) {
			p.ClusterAffinities = []policyv1alpha1.ClusterAffinityTerm{{AffinityName: "a"}, {AffinityName: "b", OverflowAffinities: []policyv1alpha1.OverflowAffinityTerm{{AffinityName: "c"}}}}
		}), []string{"spec.placement.clusterAffinities[1].overflowAffinities" + noEffect}},
		"empty names": {placed(func(p *policyv1alpha1.Placement) {
			p.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu", ""}, ExcludeClusters: []string{""}}
		}), []string{"spec.placement.clusterAffinity.clusterNames[1]: ", "spec.placement.clusterAffinity.exclude[0]: "}},
		"in no values": {placed(func(p *policyv1alpha1.Placement) {
			p.ClusterAffinity = &policyv1alpha1.ClusterAffinity{FieldSelector: fields("In")}
		}), []string{"spec.placement.clusterAffinity.fieldSelector.matchExpressions[0].values: there are none, so no cluster matches"}},
		"not in no values": {placed(func(p *policyv1alpha1.Placement) {
			p.ClusterAffinities = []policyv1alpha1.ClusterAffinityTerm{{AffinityName: "a", ClusterAffinity: policyv1alpha1.ClusterAffinity{FieldSelector: fields("NotIn")}}}
		}), []string{"spec.placement.clusterAffinities[0].fieldSelector.matchExpressions[0].values: there are none, so every cluster matches"}},

		"tolerated":        {tolerating(corev1.Toleration{Key: "a", Operator: "Exists"}), nil},
		"tolerated for":    {tolerating(corev1.Toleration{Key: "a", Operator: "Exists", TolerationSeconds: ptr.To[int64](300)}), []string{tolerations + ".tolerationSeconds" + noEffect + "nothing is evicted"}},
		"exists and value": {tolerating(corev1.Toleration{Key: "a", Operator: "Exists", Value: "b c"}), []string{tolerations + ".value: "}},
		"any key":          {tolerating(corev1.Toleration{Value: "a"}), []string{tolerations + ".key: "}},
		"no taint":         {tolerating(corev1.Toleration{Key: "a b", Value: "c d"}), []string{tolerations + ".key: ", tolerations + ".value: "}},

		"static":               {scheduling(strategy{ReplicaDivisionPreference: "Weighted", WeightPreference: weights}), nil},
		"aggregated":           {scheduling(strategy{ReplicaDivisionPreference: "Aggregated"}), []string{scheduled + ".replicaDivisionPreference" + noEffect}},
		"aggregated, weighted": {scheduling(strategy{ReplicaDivisionPreference: "Aggregated", WeightPreference: weights}), []string{scheduled + ".replicaDivisionPreference" + noEffect, scheduled + ".weightPreference: "}},
		"dynamic":              {scheduling(strategy{WeightPreference: &preferences{DynamicWeight: "AvailableReplicas"}}), []string{scheduled + ".weightPreference.dynamicWeight" + noEffect}},
		"dynamic and static": {scheduling(strategy{WeightPreference: &preferences{DynamicWeight: "AvailableReplicas", StaticWeightList: weights.StaticWeightList}}),
			[]string{scheduled + ".weightPreference.dynamicWeight" + noEffect, scheduled + ".weightPreference.staticWeightList: "}},
		"duplicated":             {scheduling(strategy{ReplicaSchedulingType: "Duplicated"}), nil},
		"duplicated, aggregated": {scheduling(strategy{ReplicaSchedulingType: "Duplicated", ReplicaDivisionPreference: "Aggregated"}), nil},
		"duplicated, weighted":   {scheduling(strategy{ReplicaSchedulingType: "Duplicated", WeightPreference: weights}), []string{scheduled + ".weightPreference: "}},
		"weight of nobody": {scheduling(strategy{WeightPreference: &preferences{StaticWeightList: []policyv1alpha1.StaticClusterWeight{
			{Weight: 1, TargetCluster: policyv1alpha1.ClusterAffinity{ClusterNames: []string{""}}}}}}),
			[]string{scheduled + ".weightPreference.staticWeightList[0].targetCluster.clusterNames[0]: "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &policyv1alpha1.PropagationPolicy{Spec: spec()}
			p.Name, p.Namespace = "p", "ns"
			tt.change(&p.Spec)
			policyv1alpha1.SetDefaults_PropagationSpec(&p.Spec)
			assert.Empty(t, validation.ValidatePropagationSpec(&p.Spec, "ns", field.NewPath("spec")), "it is taken")
			begins(t, tt.want, r.Warnings(p))
		})
	}
	all := &policyv1alpha1.PropagationPolicy{Spec: spec()}
	for _, name := range []string{"propagateDeps", "failover", "spread region", "tolerated for", "dynamic"} {
		tests[name].change(&all.Spec)
	}
	assert.Len(t, r.Warnings(all), 5, "all are told at once")

	all.Spec = spec()
	all.Spec.ResourceSelectors[0].Namespace = "bank"
	assert.Empty(t, propagation("clusterpropagationpolicies", "clusterpropagationpolicy", "cpp", false, nil, nil).
		Warnings(&policyv1alpha1.ClusterPropagationPolicy{Spec: all.Spec}), "a cluster-scoped policy reaches everywhere")
	for _, r := range []registry.Resource{quotas(), taintPolicies()} {
		assert.True(t, slices.ContainsFunc(r.Warnings(r.New()), func(s string) bool { return strings.Contains(s, "in this version") }), r.Group.Resource)
	}
}

func begins(t *testing.T, want, told []string) {
	t.Helper()
	if assert.Len(t, told, len(want), "%q", told) {
		for i := range want {
			assert.True(t, strings.HasPrefix(told[i], want[i]), "%q does not begin with %q", told[i], want[i])
		}
	}
}

func TestWarningsOfOverrides(t *testing.T) {
	const add, replace, remove = policyv1alpha1.OverriderOpAdd, policyv1alpha1.OverriderOpReplace, policyv1alpha1.OverriderOpRemove
	overriders := policyv1alpha1.Overriders{
		ImageOverrider: []policyv1alpha1.ImageOverrider{
			{Component: "Tag", Operator: add}, {Component: "Registry", Operator: replace}, {Component: "Tag", Operator: remove}, {Component: "Tag", Operator: add, Value: "-x"}},
		Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: "/spec/a", Operator: remove}, {Path: "/spec/a", Operator: add}},
	}
	spec := policyv1alpha1.OverrideSpec{
		ResourceSelectors: []policyv1alpha1.ResourceSelector{{APIVersion: "v1", Kind: "Pod"}, {APIVersion: "v1", Kind: "Pod", Namespace: "bank"}},
		OverrideRules:     []policyv1alpha1.RuleWithCluster{{TargetCluster: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("In")}, Overriders: overriders}},
	}
	told := []string{
		"spec.overrideRules[0].targetCluster.fieldSelector.matchExpressions[0].values: ",
		"spec.overrideRules[0].overriders.imageOverrider[0].value: ",
		"spec.overrideRules[0].overriders.plaintext[1].value: it is missing, so null is written",
	}
	op := &policyv1alpha1.OverridePolicy{Spec: spec}
	op.Name, op.Namespace = "o", "ns"
	assert.Empty(t, validation.ValidateOverride(op), "it is taken")
	begins(t, append([]string{"spec.resourceSelectors[1].namespace: "}, told...), override("overridepolicies", "overridepolicy", "op", true, nil, nil).Warnings(op))
	begins(t, told, override("clusteroverridepolicies", "clusteroverridepolicy", "cop", false, nil, nil).Warnings(&policyv1alpha1.ClusterOverridePolicy{Spec: spec}))

	begins(t, []string{"spec.targetCluster.clusterNames[0]: ", "spec.overriders.plaintext[0].value: "}, warnOverride(&policyv1alpha1.OverrideSpec{
		TargetCluster: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{""}},
		Overriders:    policyv1alpha1.Overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{Path: "/a", Operator: replace}}},
	}, "ns"))
}
