package native

import (
	"testing"

	"github.com/stretchr/testify/require"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestAggregateJob(t *testing.T) {
	const (
		template = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, namespace: default, generation: 1, creationTimestamp: '2026-01-01T00:00:00Z'}\nspec: {parallelism: 2}\n"
		complete = `{startTime: "2026-01-01T00:01:00Z", completionTime: "2026-01-01T00:05:00Z", succeeded: 2, conditions: [{type: Complete, status: "True", reason: CompletionsReached, lastTransitionTime: "2026-01-01T00:05:00Z"}]}`
		failed   = `{startTime: "2026-01-01T00:02:00Z", failed: 3, conditions: [{type: FailureTarget, status: "True", reason: BackoffLimitExceeded, message: too many failures, lastTransitionTime: "2026-01-01T00:03:00Z"}, {type: Failed, status: "True", reason: BackoffLimitExceeded, message: too many failures, lastTransitionTime: "2026-01-01T00:04:00Z"}]}`
		running  = `{startTime: "2026-01-01T00:03:00Z", active: 1, ready: 1, succeeded: 1}`
	)
	for name, c := range map[string]aggregateCase{
		"running": {
			reason:   "counts add up and the first start counts",
			template: template,
			items:    map[string]string{"eu": running, "ap": complete},
			want:     `{startTime: "2026-01-01T00:01:00Z", active: 1, ready: 1, succeeded: 3}`,
		},
		"complete": {
			reason:   "complete everywhere: with the conditions and times the API demands of it",
			template: template,
			items:    map[string]string{"eu": complete, "ap": `{startTime: "2026-01-01T00:02:00Z", completionTime: "2026-01-01T00:04:00Z", succeeded: 1, conditions: [{type: Complete, status: "True"}]}`},
			want: `
startTime: "2026-01-01T00:01:00Z"
completionTime: "2026-01-01T00:05:00Z"
succeeded: 3
conditions:
- {type: SuccessCriteriaMet, status: "True", reason: CompletionsReached, message: 2 of 2 clusters, lastProbeTime: "2026-01-01T00:05:00Z", lastTransitionTime: "2026-01-01T00:05:00Z"}
- {type: Complete, status: "True", reason: CompletionsReached, message: 2 of 2 clusters, lastProbeTime: "2026-01-01T00:05:00Z", lastTransitionTime: "2026-01-01T00:05:00Z"}`,
		},
		"not reported": {
			reason:   "completion is final, so it waits for the cluster that has said nothing",
			template: template,
			items:    map[string]string{"eu": complete, "ap": ""},
			want:     `{startTime: "2026-01-01T00:01:00Z", succeeded: 2}`,
		},
		"failing": {
			reason:   "one cluster has failed while another runs: the job is bound to fail, but cannot be over while pods are active",
			template: template,
			items:    map[string]string{"eu": failed, "ap": running},
			want: `
startTime: "2026-01-01T00:02:00Z"
active: 1
ready: 1
succeeded: 1
failed: 3
conditions: [{type: FailureTarget, status: "True", reason: BackoffLimitExceeded, message: "1 of 2 clusters: eu: too many failures", lastProbeTime: "2026-01-01T00:04:00Z", lastTransitionTime: "2026-01-01T00:04:00Z"}]`,
		},
		"failed": {
			reason:   "over everywhere, and failed somewhere: failed, naming the cluster",
			template: template,
			items:    map[string]string{"eu": failed, "ap": complete},
			want: `
startTime: "2026-01-01T00:01:00Z"
succeeded: 2
failed: 3
conditions:
- {type: FailureTarget, status: "True", reason: BackoffLimitExceeded, message: "1 of 2 clusters: eu: too many failures", lastProbeTime: "2026-01-01T00:04:00Z", lastTransitionTime: "2026-01-01T00:04:00Z"}
- {type: Failed, status: "True", reason: BackoffLimitExceeded, message: "1 of 2 clusters: eu: too many failures", lastProbeTime: "2026-01-01T00:05:00Z", lastTransitionTime: "2026-01-01T00:05:00Z"}`,
		},
		"failure stays": {
			reason:   "the API refuses to take FailureTarget back, also when the failed cluster is no target any more",
			template: template + `status: {startTime: "2026-01-01T00:02:00Z", failed: 3, conditions: [{type: FailureTarget, status: "True", reason: BackoffLimitExceeded, message: "eu", lastTransitionTime: "2026-01-01T00:03:00Z"}]}`,
			items:    map[string]string{"ap": complete},
			want: `
startTime: "2026-01-01T00:02:00Z"
succeeded: 2
failed: 3
conditions:
- {type: FailureTarget, status: "True", reason: BackoffLimitExceeded, message: eu, lastProbeTime: "2026-01-01T00:03:00Z", lastTransitionTime: "2026-01-01T00:03:00Z"}
- {type: Failed, status: "True", reason: BackoffLimitExceeded, message: eu, lastProbeTime: "2026-01-01T00:05:00Z", lastTransitionTime: "2026-01-01T00:05:00Z"}`,
		},
		"final": {
			reason:   "a finished job is left alone",
			template: template + `status: {succeeded: 1, conditions: [{type: Complete, status: "True"}]}`,
			items:    map[string]string{"eu": running},
			same:     true,
		},
		"a cluster leaves": {
			reason:   "the counts of ended pods never decrease, and the start stays",
			template: template + `status: {startTime: "2026-01-01T00:00:30Z", active: 2, succeeded: 5, failed: 1}`,
			items:    map[string]string{"eu": running},
			want:     `{startTime: "2026-01-01T00:00:30Z", active: 1, ready: 1, succeeded: 5, failed: 1}`,
		},
		"suspended": {
			reason:   "suspended everywhere; while suspended the start may go",
			template: "apiVersion: batch/v1\nkind: Job\nspec: {suspend: true}\nstatus: {startTime: '2026-01-01T00:00:30Z', active: 2}",
			items: map[string]string{
				"eu": `{conditions: [{type: Suspended, status: "True", reason: JobSuspended, lastTransitionTime: "2026-01-01T00:02:00Z"}]}`,
				"ap": `{conditions: [{type: Suspended, status: "True", reason: JobSuspended, lastTransitionTime: "2026-01-01T00:01:00Z"}]}`,
			},
			want: `conditions: [{type: Suspended, status: "True", reason: JobSuspended, lastProbeTime: "2026-01-01T00:02:00Z", lastTransitionTime: "2026-01-01T00:02:00Z"}]`,
		},
		"partly suspended": {
			reason:   "one cluster has yet to stop",
			template: "apiVersion: batch/v1\nkind: Job\nspec: {suspend: true}",
			items: map[string]string{
				"eu": `{conditions: [{type: Suspended, status: "True", reason: JobSuspended, lastTransitionTime: "2026-01-01T00:02:00Z"}]}`,
				"ap": running,
			},
			want: `{startTime: "2026-01-01T00:03:00Z", active: 1, ready: 1, succeeded: 1, conditions: [{type: Suspended, status: "False", reason: JobResumed, lastProbeTime: "2026-01-01T00:02:00Z", lastTransitionTime: "2026-01-01T00:02:00Z"}]}`,
		},
		"no start": {
			reason:   "a finished job needs a start even if nobody reports one, and cannot complete before it",
			template: template,
			items:    map[string]string{"eu": `{conditions: [{type: Complete, status: "True"}]}`},
			want: `
startTime: "2026-01-01T00:00:00Z"
completionTime: "2026-01-01T00:00:00Z"
conditions:
- {type: SuccessCriteriaMet, status: "True", reason: CompletionsReached, message: 1 of 1 clusters, lastProbeTime: "2026-01-01T00:00:00Z", lastTransitionTime: "2026-01-01T00:00:00Z"}
- {type: Complete, status: "True", reason: CompletionsReached, message: 1 of 1 clusters, lastProbeTime: "2026-01-01T00:00:00Z", lastTransitionTime: "2026-01-01T00:00:00Z"}`,
		},
	} {
		t.Run(name, c.run)
	}
}

func TestReflectJob(t *testing.T) {
	obj := object(t, `
apiVersion: batch/v1
kind: Job
metadata: {name: j, generation: 2, annotations: {resourcetemplate.karmada.io/generation: "3"}}
status:
  startTime: "2026-01-01T00:01:00Z"
  active: 1
  ready: 1
  terminating: 0
  succeeded: 2
  completedIndexes: 0-1
  uncountedTerminatedPods: {succeeded: [a]}
  conditions:
  - {type: Suspended, status: "False", reason: JobResumed, message: Job resumed, lastProbeTime: "2026-01-01T00:01:00Z", lastTransitionTime: "2026-01-01T00:01:00Z"}
`)
	requireTree(t, tree(t, `
generation: 2
resourceTemplateGeneration: 3
startTime: "2026-01-01T00:01:00Z"
active: 1
ready: 1
succeeded: 2
conditions: [{type: Suspended, status: "False", reason: JobResumed, lastTransitionTime: "2026-01-01T00:01:00Z"}]`),
		reflected(t, obj), "indexes and uncounted pods stay in the member")
}

func TestAggregateCronJob(t *testing.T) {
	const template = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\n"
	aggregateCase{
		reason:   "running jobs by cluster, the latest times",
		template: template,
		items: map[string]string{
			"eu": `{active: [{apiVersion: batch/v1, kind: Job, namespace: default, name: c-2, uid: u2}, {apiVersion: batch/v1, kind: Job, namespace: default, name: c-1, uid: u1}], lastScheduleTime: "2026-01-01T00:02:00Z"}`,
			"ap": `{active: [{apiVersion: batch/v1, kind: Job, namespace: default, name: c-2, uid: u9}], lastScheduleTime: "2026-01-01T00:01:00Z", lastSuccessfulTime: "2026-01-01T00:01:30Z"}`,
			"us": "",
		},
		want: `
active:
- {apiVersion: batch/v1, kind: Job, namespace: default, name: c-2, uid: u9}
- {apiVersion: batch/v1, kind: Job, namespace: default, name: c-2, uid: u2}
- {apiVersion: batch/v1, kind: Job, namespace: default, name: c-1, uid: u1}
lastScheduleTime: "2026-01-01T00:02:00Z"
lastSuccessfulTime: "2026-01-01T00:01:30Z"`,
	}.run(t)

	obj := object(t, template+`status: {active: [{apiVersion: batch/v1, kind: Job, namespace: default, name: c-1, uid: u1, resourceVersion: "5"}], lastScheduleTime: "2026-01-01T00:02:00Z"}`)
	requireTree(t, tree(t, `{active: [{apiVersion: batch/v1, kind: Job, namespace: default, name: c-1, uid: u1}], lastScheduleTime: "2026-01-01T00:02:00Z"}`),
		reflected(t, obj), "the version of a reference would only cause writes")
}

func TestDivideCompletions(t *testing.T) {
	share := func(name string, replicas int32) workv1alpha2.TargetCluster {
		return workv1alpha2.TargetCluster{Name: name, Replicas: replicas}
	}
	for name, c := range map[string]struct {
		spec     string
		clusters []workv1alpha2.TargetCluster
		want     map[string]int32
		reason   string
	}{
		"even":           {"{parallelism: 3, completions: 6}", []workv1alpha2.TargetCluster{share("eu", 1), share("ap", 1), share("us", 1)}, map[string]int32{"ap": 2, "eu": 2, "us": 2}, "in proportion"},
		"remainder":      {"{parallelism: 3, completions: 7}", []workv1alpha2.TargetCluster{share("eu", 1), share("ap", 1), share("us", 1)}, map[string]int32{"ap": 3, "eu": 2, "us": 2}, "equal fractions go by name"},
		"weights":        {"{parallelism: 3, completions: 5}", []workv1alpha2.TargetCluster{share("ap", 1), share("eu", 2)}, map[string]int32{"ap": 2, "eu": 3}, "1.67 rounds up before 3.33"},
		"fewer":          {"{parallelism: 3, completions: 1}", []workv1alpha2.TargetCluster{share("ap", 1), share("eu", 2)}, map[string]int32{"ap": 0, "eu": 1}, "a cluster may owe none"},
		"copies":         {"{parallelism: 2, completions: 4}", []workv1alpha2.TargetCluster{share("ap", 2), share("eu", 2)}, nil, "replicas do not add up to the parallelism: every cluster runs all"},
		"no completions": {"{parallelism: 2}", []workv1alpha2.TargetCluster{share("ap", 1), share("eu", 1)}, nil, "a work queue: nothing to divide"},
		"nowhere":        {"{parallelism: 0, completions: 4}", nil, nil, "no cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			parts, divided, err := DivideCompletions(object(t, header("batch/v1 Job")+"spec: "+c.spec), c.clusters)
			require.NoError(t, err, c.reason)
			require.Equal(t, c.want != nil, divided, c.reason)
			require.Equal(t, c.want, parts, c.reason)
		})
	}
	_, _, err := DivideCompletions(object(t, header("batch/v1 Job")+"spec: {completions: x}"), nil)
	require.ErrorIs(t, err, ErrMalformed)
}
