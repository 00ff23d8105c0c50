package native

import (
	"testing"

	"github.com/stretchr/testify/require"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

const deploymentInMember = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: default
  generation: 4
  annotations: {resourcetemplate.karmada.io/generation: "7"}
spec: {replicas: 3}
status:
  observedGeneration: 4
  replicas: 3
  updatedReplicas: 3
  readyReplicas: 2
  availableReplicas: 2
  unavailableReplicas: 1
  collisionCount: 5
  conditions:
  - {type: Progressing, status: "True", reason: NewReplicaSetAvailable, message: 'ReplicaSet "web-1" has successfully progressed.', lastUpdateTime: "2026-01-01T00:00:02Z", lastTransitionTime: "2026-01-01T00:00:01Z"}
  - {type: Available, status: "False", reason: MinimumReplicasUnavailable, message: Deployment does not have minimum availability., lastUpdateTime: "2026-01-01T00:00:03Z", lastTransitionTime: "2026-01-01T00:00:03Z"}
  - {type: Custom, status: "True"}
`

func TestReflectDeployment(t *testing.T) {
	want := tree(t, `
generation: 4
resourceTemplateGeneration: 7
observedGeneration: 4
replicas: 3
updatedReplicas: 3
readyReplicas: 2
availableReplicas: 2
unavailableReplicas: 1
conditions:
- {type: Available, status: "False", reason: MinimumReplicasUnavailable, message: Deployment does not have minimum availability., lastTransitionTime: "2026-01-01T00:00:03Z"}
- {type: Progressing, status: "True", reason: NewReplicaSetAvailable, lastTransitionTime: "2026-01-01T00:00:01Z"}`)
	requireTree(t, want, reflected(t, object(t, deploymentInMember)),
		"counts, generations and known conditions travel; collision counts, update times and messages that all is well do not")
}

func TestAggregateWorkloads(t *testing.T) {
	const template = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default, generation: 7}\n"
	for name, c := range map[string]aggregateCase{
		"sums": {
			reason:   "counts add up, and every cluster has observed the newest template",
			template: template + "spec: {replicas: 5}",
			items: map[string]string{
				"eu": "{generation: 1, resourceTemplateGeneration: 7, observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 1, unavailableReplicas: 1}",
				"ap": "{generation: 9, resourceTemplateGeneration: 8, observedGeneration: 9, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3}",
			},
			want: "{observedGeneration: 7, replicas: 5, updatedReplicas: 5, readyReplicas: 5, availableReplicas: 4, unavailableReplicas: 1}",
		},
		"older template": {
			reason:   "one cluster still has the previous template, so rollout status must go on waiting",
			template: template + "spec: {replicas: 2}\nstatus: {observedGeneration: 6, replicas: 2}",
			items: map[string]string{
				"eu": "{generation: 2, resourceTemplateGeneration: 7, observedGeneration: 2, replicas: 1}",
				"ap": "{generation: 1, resourceTemplateGeneration: 6, observedGeneration: 1, replicas: 2}",
			},
			want: "{observedGeneration: 6, replicas: 3}",
		},
		"not acted on": {
			reason:   "the member has the newest manifest but its controller has not seen it",
			template: template + "spec: {replicas: 2}",
			items: map[string]string{
				"eu": "{generation: 2, resourceTemplateGeneration: 7, observedGeneration: 1, replicas: 2}",
			},
			want: "{replicas: 2}",
		},
		"not reported": {
			reason:   "a cluster that has not reported has not observed",
			template: template + "spec: {replicas: 2}\nstatus: {observedGeneration: 6}",
			items: map[string]string{
				"eu": "{generation: 2, resourceTemplateGeneration: 7, observedGeneration: 2, replicas: 1}",
				"ap": "",
			},
			want: "{observedGeneration: 6, replicas: 1}",
		},
		"scaled to zero": {
			reason:   "a template of no replicas is placed nowhere, so that it counts as observed",
			template: template + "spec: {replicas: 0}\nstatus: {observedGeneration: 6, replicas: 2, readyReplicas: 2}",
			want:     "{observedGeneration: 7}",
		},
		"placed nowhere yet": {
			reason:   "nothing has been observed and nothing is there to write",
			template: template + "spec: {replicas: 2}",
			same:     true,
		},
		"same in other words": {
			reason:   "null, zero and absent are the same, and fields of others stay",
			template: template + "spec: {replicas: 1}\nstatus: {observedGeneration: 7, replicas: 1, readyReplicas: null, collisionCount: 3}",
			items:    map[string]string{"eu": "{generation: 2, resourceTemplateGeneration: 7, observedGeneration: 2, replicas: 1}"},
			same:     true,
		},
		"contradiction": {
			reason:   "what the API server would refuse is corrected, per cluster",
			template: template + "spec: {replicas: 1}",
			items: map[string]string{
				"eu": "{replicas: 1, readyReplicas: 9, availableReplicas: 9, updatedReplicas: 9}",
				"ap": "{replicas: 2147483647, unavailableReplicas: -5}",
			},
			want: "{replicas: 2147483647, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 1}",
		},
		"conditions": {
			reason:   "the worst cluster decides, and says why; one that is not settled speaks for those that are",
			template: template + "spec: {replicas: 2}",
			items: map[string]string{
				"eu": `{replicas: 1, conditions: [
  {type: Available, status: "False", reason: MinimumReplicasUnavailable, message: no nodes, lastTransitionTime: "2026-01-01T00:00:05Z"},
  {type: Progressing, status: "True", reason: ReplicaSetUpdated, lastTransitionTime: "2026-01-01T00:00:02Z"}]}`,
				"ap": `{replicas: 1, conditions: [
  {type: Available, status: "True", reason: MinimumReplicasAvailable, lastTransitionTime: "2026-01-01T00:00:09Z"},
  {type: Progressing, status: "True", reason: NewReplicaSetAvailable, lastTransitionTime: "2026-01-01T00:00:03Z"}]}`,
			},
			want: `
replicas: 2
conditions:
- {type: Available, status: "False", reason: MinimumReplicasUnavailable, message: "1 of 2 clusters: eu: no nodes", lastTransitionTime: "2026-01-01T00:00:05Z", lastUpdateTime: "2026-01-01T00:00:05Z"}
- {type: Progressing, status: "True", reason: ReplicaSetUpdated, message: 2 of 2 clusters, lastTransitionTime: "2026-01-01T00:00:03Z", lastUpdateTime: "2026-01-01T00:00:03Z"}`,
		},
		"condition bad in two clusters": {
			reason:   "both are quoted, and it began when the first went bad",
			template: template + "spec: {replicas: 2}",
			items: map[string]string{
				"eu": `{conditions: [{type: Available, status: "False", reason: B, lastTransitionTime: "2026-01-01T00:00:05Z"}]}`,
				"ap": `{conditions: [{type: Available, status: "False", reason: A, message: no nodes, lastTransitionTime: "2026-01-01T00:00:07Z"}]}`,
			},
			want: `conditions: [{type: Available, status: "False", reason: A, message: "2 of 2 clusters: ap: no nodes; eu: B", lastTransitionTime: "2026-01-01T00:00:05Z", lastUpdateTime: "2026-01-01T00:00:05Z"}]`,
		},
		"condition missing in a cluster": {
			reason:   "kubectl wait must not return before every cluster has answered",
			template: template + "spec: {replicas: 2}",
			items: map[string]string{
				"eu": `{conditions: [{type: Available, status: "True", lastTransitionTime: "2026-01-01T00:00:05Z"}]}`,
				"ap": "",
			},
			want: `conditions: [{type: Available, status: Unknown, reason: NotReported, message: "1 of 2 clusters: ap: not reported yet", lastTransitionTime: "2026-01-01T00:00:05Z", lastUpdateTime: "2026-01-01T00:00:05Z"}]`,
		},
		"optional condition": {
			reason:   "a failure to create pods shows although the other cluster has nothing to say about it",
			template: template + "spec: {replicas: 2}",
			items: map[string]string{
				"eu": `{conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: quota exceeded}]}`,
				"ap": "{}",
			},
			want: `conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: "1 of 1 clusters: eu: quota exceeded"}]`,
		},
		"daemonset": {
			reason:   "nodes add up",
			template: "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d, generation: 1}",
			items: map[string]string{
				"eu": "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, desiredNumberScheduled: 3, currentNumberScheduled: 3, updatedNumberScheduled: 3, numberReady: 2, numberAvailable: 2, numberUnavailable: 1}",
				"ap": "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, numberMisscheduled: 1, updatedNumberScheduled: 1, numberReady: 1, numberAvailable: 1}",
			},
			want: "{observedGeneration: 1, desiredNumberScheduled: 4, currentNumberScheduled: 4, numberMisscheduled: 1, updatedNumberScheduled: 4, numberReady: 3, numberAvailable: 3, numberUnavailable: 1}",
		},
		"statefulset rolling": {
			reason:   "the cluster that still rolls out keeps the revisions apart, as rollout status looks for",
			template: "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s, generation: 1}\nspec: {replicas: 2}",
			items: map[string]string{
				"ap": "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, replicas: 1, readyReplicas: 1, availableReplicas: 1, currentReplicas: 1, updatedReplicas: 1, currentRevision: s-2, updateRevision: s-2}",
				"eu": "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: s-1, updateRevision: s-2}",
			},
			want: "{observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 1, currentReplicas: 2, updatedReplicas: 1, currentRevision: s-1, updateRevision: s-2}",
		},
		"statefulset settled": {
			reason:   "revisions agree once every cluster's do",
			template: "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s, generation: 1}",
			items: map[string]string{
				"eu": "{replicas: 1, currentRevision: s-3, updateRevision: s-3}",
				"ap": "{replicas: 1, currentRevision: s-2, updateRevision: s-2}",
			},
			want: "{replicas: 2, currentRevision: s-2, updateRevision: s-2}",
		},
		"replicaset": {
			reason:   "counts add up",
			template: "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r, generation: 1}",
			items: map[string]string{
				"eu": "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, replicas: 1, fullyLabeledReplicas: 1, readyReplicas: 1, availableReplicas: 1}",
				"ap": "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, replicas: 2, fullyLabeledReplicas: 2, readyReplicas: 1}",
			},
			want: "{observedGeneration: 1, replicas: 3, fullyLabeledReplicas: 3, readyReplicas: 2, availableReplicas: 1}",
		},
		"disruption budget": {
			reason:   "counts add up, and a disruption is allowed if one cluster allows it",
			template: "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: p, generation: 1}",
			items: map[string]string{
				"eu": `{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 3, desiredHealthy: 2, expectedPods: 3, conditions: [{type: DisruptionAllowed, status: "True", reason: SufficientPods, lastTransitionTime: "2026-01-01T00:00:05Z"}]}`,
				"ap": `{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, currentHealthy: 1, desiredHealthy: 2, expectedPods: 3, conditions: [{type: DisruptionAllowed, status: "False", reason: InsufficientPods, message: too few, lastTransitionTime: "2026-01-01T00:00:06Z"}]}`,
			},
			want: `{observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 4, desiredHealthy: 4, expectedPods: 6, conditions: [{type: DisruptionAllowed, status: "True", reason: SufficientPods, lastTransitionTime: "2026-01-01T00:00:06Z"}]}`,
		},
		"autoscaler": {
			reason:   "replicas add up, the last scaling anywhere is the last",
			template: "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}",
			items: map[string]string{
				"eu": `{currentReplicas: 2, desiredReplicas: 4, lastScaleTime: "2026-01-01T00:00:05Z", conditions: [{type: ScalingActive, status: "True", reason: ValidMetricFound}]}`,
				"ap": `{currentReplicas: 1, desiredReplicas: 1, lastScaleTime: "2026-01-01T02:00:05+01:00", conditions: [{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics}]}`,
			},
			want: `{currentReplicas: 3, desiredReplicas: 5, lastScaleTime: "2026-01-01T01:00:05Z", conditions: [{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: "1 of 2 clusters: ap: no metrics"}]}`,
		},
		"autoscaler v1": {
			reason:   "autoscaling/v1 has no field for conditions, so writing them would never settle",
			template: "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}",
			items:    map[string]string{"eu": `{currentReplicas: 2, conditions: [{type: ScalingActive, status: "True"}]}`},
			want:     "{currentReplicas: 2}",
		},
	} {
		t.Run(name, c.run)
	}
}

func TestAggregateNamesUnreadableReports(t *testing.T) {
	template := object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, generation: 1}\nspec: {replicas: 2}")
	changed, err := deployment.AggregateStatus(template, []workv1alpha2.AggregatedStatusItem{
		report(t, "eu", "{replicas: many}"),
		report(t, "ap", "{generation: 1, resourceTemplateGeneration: 1, observedGeneration: 1, replicas: 2}"),
	})
	require.ErrorIs(t, err, ErrMalformed)
	require.ErrorContains(t, err, `"eu"`)
	require.NotContains(t, err.Error(), `"ap"`)
	require.True(t, changed, "what can be read is merged all the same")
	requireTree(t, tree(t, "{replicas: 2}"), template.Object["status"], "and the cluster that cannot be read has not observed anything")
}

func TestAggregateDoesNotWriteToTheOldStatus(t *testing.T) {
	template := object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nstatus: {replicas: 1}")
	old := template.Object["status"].(map[string]any)
	changed, err := deployment.AggregateStatus(template, []workv1alpha2.AggregatedStatusItem{report(t, "eu", "{replicas: 2}")})
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, map[string]any{"replicas": int64(1)}, old, "a cache may share it")
}
