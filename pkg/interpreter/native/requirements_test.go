package native

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestReplicas(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		want   int32
		reason string
	}{
		"deployment":         {header("apps/v1 Deployment") + "spec: {replicas: 3}", 3, "as it says"},
		"deployment default": {header("apps/v1 Deployment") + "spec: {}", 1, "the API's default"},
		"deployment bare":    {header("apps/v1 Deployment"), 1, "the API's default"},
		"deployment null":    {header("apps/v1 Deployment") + "spec: {replicas: null}", 1, "null is absent"},
		"deployment zero":    {header("apps/v1 Deployment") + "spec: {replicas: 0}", 0, "zero is not absent"},
		"deployment float":   {header("apps/v1 Deployment") + "spec: {replicas: 2.0}", 2, "JSON has one type of number"},
		"statefulset":        {header("apps/v1 StatefulSet") + "spec: {replicas: 3}", 3, "as it says"},
		"replicaset":         {header("apps/v1 ReplicaSet") + "spec: {replicas: 3}", 3, "as it says"},
		"job":                {header("batch/v1 Job") + "spec: {parallelism: 3, completions: 9}", 3, "what runs at once"},
		"job default":        {header("batch/v1 Job") + "spec: {completions: 9}", 1, "the API's default"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, c.in)
			got, req, err := interpretation(t, obj).Replicas(obj)
			require.NoError(t, err, c.reason)
			require.Equal(t, c.want, got, c.reason)
			require.NotNil(t, req)
		})
	}
	for _, bad := range []string{"-1", "2147483648", "1.5", "many", "[1]"} {
		_, _, err := deployment.Replicas(object(t, header("apps/v1 Deployment")+"spec: {replicas: "+bad+"}"))
		require.ErrorIs(t, err, ErrMalformed, bad)
		require.ErrorContains(t, err, "spec.replicas", bad)
	}
	_, _, err := deployment.Replicas(object(t, header("apps/v1 Deployment")+"spec: {template: {spec: {containers: {}}}}"))
	require.ErrorIs(t, err, ErrMalformed)
	require.ErrorContains(t, err, "spec.template.spec")
	require.ErrorIs(t, deployment.ReviseReplicas(object(t, header("apps/v1 Deployment")), 1), ErrMalformed, "there is no spec to set it in")
}

func TestDividedKinds(t *testing.T) {
	divided := map[string]bool{}
	for kind, k := range kinds {
		require.Equal(t, k.Replicas == nil, k.ReviseReplicas == nil, "%s: replicas that can be read can be set", kind)
		if k.Replicas != nil {
			divided[kind.String()] = true
		}
	}
	require.Equal(t, map[string]bool{"Deployment.apps": true, "StatefulSet.apps": true, "ReplicaSet.apps": true, "Job.batch": true}, divided)
}

func TestRequirements(t *testing.T) {
	obj := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      priorityClassName: high
      nodeSelector: {disk: ssd}
      tolerations: [{key: gpu, operator: Exists}]
      overhead: {cpu: 10m}
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms: [{matchExpressions: [{key: arch, operator: In, values: [arm64]}]}]
          preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {}}]
      initContainers:
      - {name: setup, resources: {requests: {cpu: "1", memory: 10Mi}}}
      - {name: sidecar, restartPolicy: Always, resources: {requests: {memory: 5Mi}}}
      containers:
      - {name: a, resources: {requests: {cpu: 100m}, limits: {cpu: 200m, memory: 64Mi}}}
      - {name: b, resources: {requests: {cpu: 200m, memory: 6Mi}}}
`)
	got, err := requirements(obj)
	require.NoError(t, err)
	require.Equal(t, "shop", got.Namespace)
	require.Equal(t, "high", got.PriorityClassName)
	require.Equal(t, map[string]string{"disk": "ssd"}, got.NodeClaim.NodeSelector)
	require.Len(t, got.NodeClaim.Tolerations, 1)
	require.Equal(t, "arch", got.NodeClaim.HardNodeAffinity.NodeSelectorTerms[0].MatchExpressions[0].Key)
	cpu, memory := got.ResourceRequest[corev1.ResourceCPU], got.ResourceRequest[corev1.ResourceMemory]
	require.Equal(t, "1010m", cpu.String(), "the init container needs more than the two together; overhead comes on top")
	require.Equal(t, "75Mi", memory.String(), "a's limit is its request: 64 + 6, and the sidecar's 5 beside them")

	bare, err := requirements(object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop}\nspec: {template: {spec: {containers: [{name: a}]}}}"))
	require.NoError(t, err)
	require.Equal(t, &workv1alpha2.ReplicaRequirements{Namespace: "shop"}, bare, "asks for nothing in particular")
}
