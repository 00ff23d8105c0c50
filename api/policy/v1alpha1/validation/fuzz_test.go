package validation

import (
	"encoding/json"
	"testing"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// FuzzValidate reads anything as any kind of the group: whatever a client sends,
// validation answers.
func FuzzValidate(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"metadata":{"name":"a","namespace":"b"},"spec":{"resourceSelectors":[{"apiVersion":"apps/v1","kind":"Deployment","labelSelector":{"matchExpressions":[{"key":"a","operator":"In"}]}}],"placement":{"clusterAffinities":[{"affinityName":"x","overflowAffinities":[{}]}],"clusterTolerations":[{}],"spreadConstraints":[{"maxGroups":-1}],"replicaScheduling":{"weightPreference":{"staticWeightList":[{"weight":-1}]}},"workloadAffinity":{"affinity":{}}},"failover":{"application":{"statePreservation":{"rules":[{"jsonPath":"{.a[?(@.b==1)]}"}]}},"cluster":{}},"suspension":{"dispatchingOnClusters":{}},"schedulePriority":{}}}`,
		`{"spec":{"overrideRules":[{"overriders":{"plaintext":[{"path":"/~"}],"imageOverrider":[{"predicate":{}}],"fieldOverrider":[{"json":[{}],"yaml":[{}]}],"labelsOverrider":[{"value":{"":""}}]}}]}}`,
		`{"spec":{"overall":{"cpu":"1"},"staticAssignments":[{"hard":{"cpu":"9E"}}]},"status":{"aggregatedStatus":[{"hard":{"x":"-1"}}]}}`,
		`{"spec":{"taints":[{}],"addOnConditions":[{"statusValues":[""]}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, p := range []policyv1alpha1.Policy{&policyv1alpha1.PropagationPolicy{}, &policyv1alpha1.ClusterPropagationPolicy{}} {
			if json.Unmarshal(data, p) == nil {
				ValidatePolicy(p)
				ValidatePolicyUpdate(p, p)
			}
		}
		for _, p := range []policyv1alpha1.Override{&policyv1alpha1.OverridePolicy{}, &policyv1alpha1.ClusterOverridePolicy{}} {
			if json.Unmarshal(data, p) == nil {
				ValidateOverride(p)
				ValidateOverrideUpdate(p, p)
			}
		}
		quota := &policyv1alpha1.FederatedResourceQuota{}
		if json.Unmarshal(data, quota) == nil {
			ValidateFederatedResourceQuota(quota)
			ValidateFederatedResourceQuotaStatusUpdate(quota, quota)
		}
		taints := &policyv1alpha1.ClusterTaintPolicy{}
		if json.Unmarshal(data, taints) == nil {
			ValidateClusterTaintPolicy(taints)
		}
	})
}
