package native

import (
	"testing"

	"github.com/stretchr/testify/require"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestHealth(t *testing.T) {
	const (
		healthy   = workv1alpha2.ResourceHealthy
		unhealthy = workv1alpha2.ResourceUnhealthy
		unknown   = workv1alpha2.ResourceUnknown
	)
	for name, c := range map[string]struct {
		kind, rest string
		want       workv1alpha2.ResourceHealth
		reason     string
	}{
		"deployment done":       {"apps/v1 Deployment", "metadata: {generation: 2}\nspec: {replicas: 2}\nstatus: {observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2}", healthy, "all updated and available"},
		"deployment unseen":     {"apps/v1 Deployment", "metadata: {generation: 2}\nspec: {replicas: 2}\nstatus: {observedGeneration: 1, updatedReplicas: 2, availableReplicas: 2}", unhealthy, "the counts are of the previous spec"},
		"deployment updating":   {"apps/v1 Deployment", "spec: {replicas: 2}\nstatus: {updatedReplicas: 1, availableReplicas: 2}", unhealthy, "an old replica is left"},
		"deployment starting":   {"apps/v1 Deployment", "spec: {replicas: 2}\nstatus: {updatedReplicas: 2, availableReplicas: 1}", unhealthy, "one is not available"},
		"deployment default":    {"apps/v1 Deployment", "spec: {}\nstatus: {}", unhealthy, "replicas defaults to 1"},
		"deployment zero":       {"apps/v1 Deployment", "spec: {replicas: 0}\nstatus: {}", healthy, "nothing wanted, nothing missing"},
		"statefulset done":      {"apps/v1 StatefulSet", "spec: {replicas: 2}\nstatus: {updatedReplicas: 2, availableReplicas: 2}", healthy, "all there"},
		"statefulset partition": {"apps/v1 StatefulSet", "spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}}\nstatus: {updatedReplicas: 1, availableReplicas: 3}", healthy, "two are held back on purpose"},
		"statefulset partial":   {"apps/v1 StatefulSet", "spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}\nstatus: {updatedReplicas: 1, availableReplicas: 3}", unhealthy, "two should be updated"},
		"statefulset on delete": {"apps/v1 StatefulSet", "spec: {replicas: 2, updateStrategy: {type: OnDelete}}\nstatus: {availableReplicas: 2}", healthy, "people replace its pods"},
		"statefulset starting":  {"apps/v1 StatefulSet", "spec: {replicas: 2}\nstatus: {updatedReplicas: 2, availableReplicas: 1}", unhealthy, "one is missing"},
		"daemonset done":        {"apps/v1 DaemonSet", "status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}", healthy, "on every node"},
		"daemonset updating":    {"apps/v1 DaemonSet", "status: {desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2}", unhealthy, "an old pod is left"},
		"daemonset on delete":   {"apps/v1 DaemonSet", "spec: {updateStrategy: {type: OnDelete}}\nstatus: {desiredNumberScheduled: 2, numberAvailable: 2}", healthy, "people replace its pods"},
		"daemonset new":         {"apps/v1 DaemonSet", "spec: {}", unhealthy, "no controller has looked yet"},
		"replicaset done":       {"apps/v1 ReplicaSet", "spec: {replicas: 1}\nstatus: {availableReplicas: 1}", healthy, "all there"},
		"replicaset starting":   {"apps/v1 ReplicaSet", "status: {}", unhealthy, "wants one"},
		"job running":           {"batch/v1 Job", "status: {active: 1}", healthy, "at work"},
		"job complete":          {"batch/v1 Job", "status: {conditions: [{type: Complete, status: 'True'}]}", healthy, "done"},
		"job failed":            {"batch/v1 Job", "status: {conditions: [{type: Failed, status: 'True'}]}", unhealthy, "failed"},
		"job failing":           {"batch/v1 Job", "status: {conditions: [{type: FailureTarget, status: 'True'}]}", unhealthy, "about to fail"},
		"cronjob":               {"batch/v1 CronJob", "spec: {}", healthy, "exists"},
		"pod running":           {"v1 Pod", "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}", healthy, "ready"},
		"pod not ready":         {"v1 Pod", "status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}", unhealthy, "not ready"},
		"pod done":              {"v1 Pod", "status: {phase: Succeeded}", healthy, "done"},
		"pod pending":           {"v1 Pod", "status: {phase: Pending}", unhealthy, "has no node"},
		"service cluster ip":    {"v1 Service", "spec: {type: ClusterIP}", healthy, "works once it exists"},
		"service balancer":      {"v1 Service", "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}", healthy, "has an address"},
		"service no balancer":   {"v1 Service", "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {}}", unhealthy, "has none"},
		"ingress":               {"networking.k8s.io/v1 Ingress", "status: {loadBalancer: {ingress: [{hostname: a}]}}", healthy, "has an address"},
		"ingress waiting":       {"networking.k8s.io/v1 Ingress", "status: {loadBalancer: {}}", unhealthy, "has none"},
		"claim bound":           {"v1 PersistentVolumeClaim", "status: {phase: Bound}", healthy, "bound"},
		"claim pending":         {"v1 PersistentVolumeClaim", "status: {phase: Pending}", unhealthy, "has no volume"},
		"volume available":      {"v1 PersistentVolume", "status: {phase: Available}", healthy, "waits for a claim"},
		"volume failed":         {"v1 PersistentVolume", "status: {phase: Failed}", unhealthy, "failed"},
		"volume released":       {"v1 PersistentVolume", "status: {phase: Released}", unknown, "depends on its policy"},
		"budget kept":           {"policy/v1 PodDisruptionBudget", "status: {currentHealthy: 2, desiredHealthy: 2}", healthy, "as many as must be"},
		"budget broken":         {"policy/v1 PodDisruptionBudget", "status: {currentHealthy: 1, desiredHealthy: 2}", unhealthy, "too few"},
		"autoscaler active":     {"autoscaling/v2 HorizontalPodAutoscaler", "status: {conditions: [{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'True'}]}", healthy, "scales"},
		"autoscaler blind":      {"autoscaling/v2 HorizontalPodAutoscaler", "status: {conditions: [{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'False'}]}", unhealthy, "has no metrics"},
		"autoscaler new":        {"autoscaling/v2 HorizontalPodAutoscaler", "spec: {}", unknown, "has not said anything"},
		"definition":            {"apiextensions.k8s.io/v1 CustomResourceDefinition", "status: {conditions: [{type: Established, status: 'True'}]}", healthy, "served"},
		"definition refused":    {"apiextensions.k8s.io/v1 CustomResourceDefinition", "status: {conditions: [{type: NamesAccepted, status: 'False'}]}", unhealthy, "not served"},
		"namespace":             {"v1 Namespace", "status: {phase: Active}", healthy, "active"},
		"namespace going":       {"v1 Namespace", "status: {phase: Terminating}", unhealthy, "on its way out"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, header(c.kind)+c.rest)
			health := workv1alpha2.ResourceHealthy
			if check := interpretation(t, obj).Health; check != nil {
				var err error
				health, err = check(obj)
				require.NoError(t, err)
			}
			require.Equal(t, c.want, health, c.reason)
		})
	}
}

func TestHealthOfMalformedReplicas(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet", "ReplicaSet"} {
		obj := object(t, header("apps/v1 "+kind)+"spec: {replicas: many}")
		health, err := interpretation(t, obj).Health(obj)
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, "spec.replicas")
		require.Equal(t, workv1alpha2.ResourceUnknown, health)
	}
}
