package apiserver

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

const (
	// histories and steps bound what is tried of each kind.
	histories = 12
	steps     = 5
)

// chance draws the statuses that members might have.
type chance struct{ *rand.Rand }

func (c chance) often() bool  { return c.IntN(4) > 0 }
func (c chance) seldom() bool { return c.IntN(5) == 0 }

// counts sets some of the fields to small numbers.
func (c chance) counts(into map[string]any, fields ...string) map[string]any {
	for _, f := range fields {
		if c.often() {
			into[f] = int64(c.IntN(5))
		}
	}
	return into
}

func (c chance) moment() string {
	return time.Date(2026, 1, 1, 0, 0, c.IntN(200), 0, time.UTC).Format(time.RFC3339)
}

func (c chance) moments(into map[string]any, fields ...string) map[string]any {
	for _, f := range fields {
		if c.often() {
			into[f] = c.moment()
		}
	}
	return into
}

func (c chance) conditions(into map[string]any, kinds ...string) map[string]any {
	var out []any
	for _, kind := range kinds {
		if c.IntN(2) == 0 {
			out = append(out, map[string]any{"type": kind, "status": []string{"True", "False", "Unknown"}[c.IntN(3)],
				"reason": "Because", "message": "of something", "lastTransitionTime": c.moment()})
		}
	}
	if out != nil {
		into["conditions"] = out
	}
	return into
}

func (c chance) balancer() map[string]any {
	var ingress []any
	for range c.IntN(3) {
		entry := map[string]any{}
		if c.IntN(2) == 0 {
			entry["ip"] = fmt.Sprintf("10.0.0.%d", c.IntN(4))
		} else {
			entry["hostname"] = fmt.Sprintf("h%d.example.com", c.IntN(4))
		}
		if c.seldom() {
			entry["ports"] = []any{map[string]any{"port": int64(80), "protocol": "TCP"}}
		}
		ingress = append(ingress, entry)
	}
	return map[string]any{"loadBalancer": map[string]any{"ingress": ingress}}
}

func (c chance) containers(names ...string) []any {
	var out []any
	for _, name := range names {
		if c.seldom() {
			continue
		}
		state := []map[string]any{
			{"waiting": map[string]any{"reason": "ContainerCreating"}},
			{"running": map[string]any{"startedAt": c.moment()}},
			{"terminated": map[string]any{"exitCode": int64(c.IntN(2)), "reason": "Completed", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:10:00Z"}},
		}[c.IntN(3)]
		out = append(out, map[string]any{"name": name, "image": "i", "imageID": "sha256:1", "ready": c.often(), "started": c.often(),
			"restartCount": int64(c.IntN(3)), "state": state})
	}
	return out
}

// aggregated are the kinds whose statuses are merged, each with what a member's
// may be.
var aggregated = map[string]struct {
	resource schema.GroupVersionResource
	template string
	change   func(c chance, template map[string]any) // of the spec, by users
	status   func(c chance) map[string]any
}{
	"Deployment": {
		resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
		template: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`,
		change:   func(c chance, spec map[string]any) { spec["replicas"] = int64(c.IntN(6)) },
		status: func(c chance) map[string]any {
			s := c.counts(map[string]any{}, "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "terminatingReplicas", "observedGeneration", "collisionCount")
			return c.conditions(s, "Available", "Progressing", "ReplicaFailure")
		},
	},
	"StatefulSet": {
		resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"},
		template: `{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 3, serviceName: s, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`,
		change:   func(c chance, spec map[string]any) { spec["replicas"] = int64(c.IntN(6)) },
		status: func(c chance) map[string]any {
			s := c.counts(map[string]any{}, "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "currentReplicas", "observedGeneration", "collisionCount")
			if c.often() {
				s["currentRevision"], s["updateRevision"] = "r1", "r2"
			}
			return s
		},
	},
	"DaemonSet": {
		resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"},
		template: `{apiVersion: apps/v1, kind: DaemonSet, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`,
		status: func(c chance) map[string]any {
			return c.counts(map[string]any{}, "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "updatedNumberScheduled",
				"numberAvailable", "numberUnavailable", "observedGeneration", "collisionCount")
		},
	},
	"ReplicaSet": {
		resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"},
		template: `{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 3, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}`,
		change:   func(c chance, spec map[string]any) { spec["replicas"] = int64(c.IntN(6)) },
		status: func(c chance) map[string]any {
			return c.conditions(c.counts(map[string]any{}, "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas", "observedGeneration"), "ReplicaFailure")
		},
	},
	"Job": {
		resource: schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"},
		template: `{apiVersion: batch/v1, kind: Job, spec: {parallelism: 3, completions: 6, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}`,
		change: func(c chance, spec map[string]any) {
			spec["suspend"] = c.seldom()
			spec["parallelism"] = int64(c.IntN(4))
		},
		status: func(c chance) map[string]any {
			s := c.moments(c.counts(map[string]any{}, "active", "ready", "succeeded", "failed", "terminating"), "startTime")
			end := []string{"", "", "Complete", "Failed", "FailureTarget", "Suspended"}[c.IntN(6)]
			if end != "" {
				condition := map[string]any{"type": end, "status": "True", "reason": "R", "message": "m", "lastTransitionTime": c.moment()}
				s["conditions"] = []any{condition}
				if end == "Complete" {
					s["completionTime"] = c.moment()
				}
			}
			if c.seldom() {
				s["completedIndexes"], s["uncountedTerminatedPods"] = "0-2", map[string]any{"succeeded": []any{"uid"}}
			}
			return s
		},
	},
	"CronJob": {
		resource: schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"},
		template: `{apiVersion: batch/v1, kind: CronJob, spec: {schedule: "* * * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}`,
		status: func(c chance) map[string]any {
			s := c.moments(map[string]any{}, "lastScheduleTime", "lastSuccessfulTime")
			if c.often() {
				s["active"] = []any{map[string]any{"apiVersion": "batch/v1", "kind": "Job", "namespace": "x", "name": fmt.Sprint("j", c.IntN(3)), "uid": "u"}}
			}
			return s
		},
	},
	"Pod": {
		resource: schema.GroupVersionResource{Version: "v1", Resource: "pods"},
		template: `{apiVersion: v1, kind: Pod, spec: {restartPolicy: Never, initContainers: [{name: init, image: i}], containers: [{name: c, image: i}, {name: d, image: i}]}}`,
		status: func(c chance) map[string]any {
			s := map[string]any{"phase": []string{"Pending", "Running", "Succeeded", "Failed"}[c.IntN(4)], "hostIP": "10.0.0.1", "podIP": "10.1.0.1", "qosClass": "BestEffort"}
			if c.often() {
				s["containerStatuses"] = c.containers("c", "d")
				s["initContainerStatuses"] = c.containers("init")
			}
			return c.conditions(c.moments(s, "startTime"), "PodScheduled", "Initialized", "ContainersReady", "Ready")
		},
	},
	"PodThatRestarts": {
		resource: schema.GroupVersionResource{Version: "v1", Resource: "pods"},
		template: `{apiVersion: v1, kind: Pod, spec: {containers: [{name: c, image: i}]}}`,
		status: func(c chance) map[string]any {
			return c.conditions(map[string]any{"phase": []string{"Pending", "Running"}[c.IntN(2)], "containerStatuses": c.containers("c")}, "Ready")
		},
	},
	"Service": {
		resource: schema.GroupVersionResource{Version: "v1", Resource: "services"},
		template: `{apiVersion: v1, kind: Service, spec: {type: LoadBalancer, ports: [{port: 80}]}}`,
		status:   chance.balancer,
	},
	"Ingress": {
		resource: schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
		template: `{apiVersion: networking.k8s.io/v1, kind: Ingress, spec: {defaultBackend: {service: {name: s, port: {number: 80}}}}}`,
		status:   chance.balancer,
	},
	"PersistentVolumeClaim": {
		resource: schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"},
		template: `{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`,
		status: func(c chance) map[string]any {
			s := map[string]any{"phase": []string{"Pending", "Bound", "Lost"}[c.IntN(3)]}
			if c.often() {
				s["capacity"], s["accessModes"] = map[string]any{"storage": []string{"1Gi", "2Gi"}[c.IntN(2)]}, []any{"ReadWriteOnce"}
			}
			return s
		},
	},
	"PodDisruptionBudget": {
		resource: schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
		template: `{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}}`,
		status: func(c chance) map[string]any {
			return c.conditions(c.counts(map[string]any{}, "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods", "observedGeneration"), "DisruptionAllowed")
		},
	},
	"HorizontalPodAutoscaler": {
		resource: schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
		template: `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}`,
		status: func(c chance) map[string]any {
			return c.conditions(c.moments(c.counts(map[string]any{}, "currentReplicas", "desiredReplicas", "observedGeneration"), "lastScaleTime"), "AbleToScale", "ScalingActive", "ScalingLimited")
		},
	},
}

// Whatever members report, one after the other, the status that is made of it is
// one that the API server takes: its validation is the judge.
func TestAggregatedStatusesAreAccepted(t *testing.T) {
	t.Parallel()
	kinds := interpreter.New()
	for name, kind := range aggregated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNamespace(t)
			of := fed.dynamic.Resource(kind.resource).Namespace(ns)
			for seed := range histories {
				c := chance{rand.New(rand.NewPCG(1, uint64(seed)))}
				template := &unstructured.Unstructured{}
				require.NoError(t, yaml.Unmarshal([]byte(kind.template), &template.Object))
				template.SetName(fmt.Sprintf("x-%d", seed))
				var err error
				eventually(t, func() bool {
					made, problem := of.Create(t.Context(), template, metav1.CreateOptions{})
					if err = problem; err == nil {
						template = made
					}
					return err == nil
				}, "create")
				for step := range steps {
					if kind.change != nil && c.seldom() {
						kind.change(c, template.Object["spec"].(map[string]any))
						changed, err := of.Update(t.Context(), template, metav1.UpdateOptions{})
						if err == nil { // a change may be out of the question by now
							template = changed
						}
					}
					var items []workv1alpha2.AggregatedStatusItem
					for i := range 1 + c.IntN(3) {
						item := workv1alpha2.AggregatedStatusItem{ClusterName: fmt.Sprint("c", i), Applied: true}
						if !c.seldom() {
							member := template.DeepCopy()
							member.SetAnnotations(map[string]string{"resourcetemplate.karmada.io/generation": fmt.Sprint(template.GetGeneration())})
							member.Object["status"] = kind.status(c)
							item.Status, err = kinds.ReflectStatus(member)
							require.NoError(t, err)
						}
						items = append(items, item)
					}
					after := template.DeepCopy()
					changed, err := kinds.AggregateStatus(after, items)
					require.NoError(t, err)
					if !changed {
						continue
					}
					stored, err := of.UpdateStatus(t.Context(), after, metav1.UpdateOptions{})
					require.NoError(t, err, "history %d, step %d: %v\nafter %v", seed, step, after.Object["status"], template.Object["status"])
					again := stored.DeepCopy()
					changed, err = kinds.AggregateStatus(again, items)
					require.NoError(t, err)
					require.False(t, changed, "history %d, step %d: what was stored is what was meant\nstored %v\nwant %v", seed, step, stored.Object["status"], again.Object["status"])
					template = stored
				}
			}
		})
	}
}
