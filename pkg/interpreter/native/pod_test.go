package native

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAggregatePod(t *testing.T) {
	const template = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {restartPolicy: Never}\n"
	for name, c := range map[string]aggregateCase{
		"running": {
			reason:   "ready where every copy is, restarts together, the state that needs attention",
			template: template + "status: {phase: Pending, qosClass: BestEffort}",
			items: map[string]string{
				"eu": `{phase: Running, startTime: "2026-01-01T00:00:02Z", conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: b, ready: true, started: true, restartCount: 1, image: i, state: {running: {startedAt: "2026-01-01T00:00:03Z"}}}, {name: a, ready: true, started: true}]}`,
				"ap": `{phase: Running, startTime: "2026-01-01T00:00:01Z", conditions: [{type: Ready, status: "False", message: b is not}], containerStatuses: [{name: b, restartCount: 2, image: i, state: {waiting: {reason: CrashLoopBackOff}}}, {name: a, ready: true, started: true}]}`,
			},
			want: `
phase: Running
qosClass: BestEffort
startTime: "2026-01-01T00:00:01Z"
conditions: [{type: Ready, status: "False", message: "1 of 2 clusters: ap: b is not"}]
containerStatuses:
- {name: a, ready: true, started: true}
- {name: b, restartCount: 3, image: i, state: {waiting: {reason: CrashLoopBackOff}}}`,
		},
		"pending": {
			reason:   "a cluster that has not reported is pending, and nothing is ready",
			template: template,
			items:    map[string]string{"eu": `{phase: Running, containerStatuses: [{name: a, ready: true}]}`, "ap": ""},
			want:     "{phase: Pending, containerStatuses: [{name: a}]}",
		},
		"failed": {
			reason:   "failed in one cluster, and why",
			template: template,
			items:    map[string]string{"eu": `{phase: Succeeded}`, "ap": `{phase: Failed, reason: Evicted, message: no memory}`},
			want:     "{phase: Failed, reason: Evicted, message: 'ap: no memory'}",
		},
		"done": {
			reason:   "succeeded everywhere; a failure's exit code outranks success",
			template: template,
			items: map[string]string{
				"eu": `{phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 0}}}]}`,
				"ap": `{phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 1}}}]}`,
			},
			want: "{phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 1}}}]}",
		},
		"no way back": {
			reason:   "the API refuses to let a container that is never restarted run again",
			template: template + "status: {phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 0}}}]}",
			items:    map[string]string{"eu": `{phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {startedAt: "2026-01-01T00:00:03Z"}}}]}`},
			want:     "{phase: Running, containerStatuses: [{name: a, ready: true, state: {terminated: {exitCode: 0}}}]}",
		},
		"back by restart": {
			reason:   "a container that is restarted leaves its end",
			template: "apiVersion: v1\nkind: Pod\nstatus: {phase: Running, containerStatuses: [{name: a, state: {terminated: {exitCode: 1}}}]}",
			items:    map[string]string{"eu": `{phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {startedAt: "2026-01-01T00:00:03Z"}}}]}`},
			want:     `{phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {startedAt: "2026-01-01T00:00:03Z"}}}]}`,
		},
		"nowhere": {
			reason:   "a pod that no cluster has keeps its status",
			template: template + "status: {phase: Pending}",
			same:     true,
		},
	} {
		t.Run(name, c.run)
	}
}

func TestReflectPod(t *testing.T) {
	obj := object(t, `
apiVersion: v1
kind: Pod
metadata: {name: p}
status:
  phase: Running
  hostIP: 10.0.0.1
  podIP: 10.1.0.1
  qosClass: BestEffort
  startTime: "2026-01-01T00:00:01Z"
  conditions: [{type: Ready, status: "True", lastProbeTime: null, lastTransitionTime: "2026-01-01T00:00:02Z"}, {type: Other, status: "True"}]
  containerStatuses:
  - {name: a, ready: true, started: true, restartCount: 1, image: i, imageID: sha, containerID: c, state: {running: {startedAt: "2026-01-01T00:00:03Z"}}, lastState: {terminated: {exitCode: 1}}}
  - {name: b, state: {running: {startedAt: yesterday}}}
`)
	requireTree(t, tree(t, `
phase: Running
startTime: "2026-01-01T00:00:01Z"
conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-01-01T00:00:02Z"}]
containerStatuses:
- {name: a, ready: true, started: true, restartCount: 1, image: i, imageID: sha, state: {running: {startedAt: "2026-01-01T00:00:03Z"}}}
- {name: b}`), reflected(t, obj), "addresses stay in the member; a state that cannot be read does not spoil the rest")
}

func TestReflectOthers(t *testing.T) {
	for name, c := range map[string]struct{ in, want, reason string }{
		"namespace":     {header("v1 Namespace") + "status: {phase: Active}", "{phase: Active}", "its phase"},
		"namespace new": {header("v1 Namespace") + "spec: {}", "", "nothing yet"},
		"definition": {
			header("apiextensions.k8s.io/v1 CustomResourceDefinition") + "status: {storedVersions: [v1], conditions: [{type: Established, status: 'True', reason: InitialNamesAccepted, message: accepted}, {type: NamesAccepted, status: 'False', reason: Conflict, message: taken}]}",
			"conditions: [{type: Established, status: 'True', reason: InitialNamesAccepted}, {type: NamesAccepted, status: 'False', reason: Conflict, message: taken}]",
			"what tells whether it is served",
		},
		"claim": {header("v1 PersistentVolumeClaim") + "status: {phase: Bound, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], conditions: [{type: X}]}", "{phase: Bound, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce]}", "phase, capacity and modes"},
		"statefulset": {header("apps/v1 StatefulSet") + "metadata: {generation: 2}\nstatus: {observedGeneration: 2, replicas: 1, currentRevision: a, updateRevision: b, collisionCount: 0}",
			"{generation: 2, observedGeneration: 2, replicas: 1, currentRevision: a, updateRevision: b}", "counts and revisions"},
	} {
		t.Run(name, func(t *testing.T) {
			got := reflected(t, object(t, c.in))
			if c.want == "" {
				require.Nil(t, got, c.reason)
				return
			}
			requireTree(t, tree(t, c.want), got, c.reason)
		})
	}
}
