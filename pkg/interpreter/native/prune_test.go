package native

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// managers is the metadata of an object whose spec several managers have written.
func managers(specs ...string) string {
	out := "metadata:\n  managedFields:"
	for _, spec := range specs {
		out += "\n  - {manager: m, fieldsType: FieldsV1, fieldsV1: {f:metadata: {}, f:spec: " + spec + "}}"
	}
	return out
}

// The notation is that of the library with which API servers write it.
func TestPortKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		port := rapid.Int64Range(1, 65535).Draw(t, "port")
		protocol := rapid.SampledFrom([]string{"TCP", "UDP", "SCTP"}).Draw(t, "protocol")
		want, err := fieldpath.SerializePathElement(fieldpath.KeyElementByFields("port", port, "protocol", protocol))
		require.NoError(t, err)
		require.Equal(t, want, portKey(map[string]any{"port": port, "protocol": protocol, "name": "x"}))
	})
}

func TestPrune(t *testing.T) {
	for name, c := range map[string]struct{ in, want, reason string }{
		"deployment": {
			in:     header("apps/v1 Deployment") + "metadata: {annotations: {deployment.kubernetes.io/revision: '2', mine: x}}\nspec: {replicas: 2}",
			want:   header("apps/v1 Deployment") + "metadata: {annotations: {mine: x}}\nspec: {replicas: 2}",
			reason: "revisions are counted where ReplicaSets are",
		},
		"replicaset": {
			in:     header("apps/v1 ReplicaSet") + "metadata: {annotations: {deployment.kubernetes.io/revision: '2', deployment.kubernetes.io/desired-replicas: '2', deployment.kubernetes.io/max-replicas: '3'}}",
			want:   header("apps/v1 ReplicaSet") + "metadata: {}",
			reason: "and so is the rest; an empty map goes",
		},
		"statefulset": {
			in:     header("apps/v1 StatefulSet") + "spec: {volumeClaimTemplates: [{metadata: {name: d, creationTimestamp: null}, spec: {a: b}, status: {phase: Pending}}]}",
			want:   header("apps/v1 StatefulSet") + "spec: {volumeClaimTemplates: [{metadata: {name: d}, spec: {a: b}}]}",
			reason: "claim templates have no status",
		},
		"daemonset": {
			in:     header("apps/v1 DaemonSet") + "metadata: {annotations: {deprecated.daemonset.template.generation: '2'}}",
			want:   header("apps/v1 DaemonSet") + "metadata: {}",
			reason: "the API server counts it",
		},
		"service": {
			in: header("v1 Service") + `
metadata: {name: s}
spec:
  type: LoadBalancer
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  healthCheckNodePort: 30001
  ports: [{name: a, port: 80, targetPort: 8080, nodePort: 30000}, {name: b, port: 81}]`,
			want: header("v1 Service") + `
metadata: {name: s}
spec:
  type: LoadBalancer
  ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81}]`,
			reason: "addresses and ports come from each member's ranges",
		},
		"service with managers": {
			in: header("v1 Service") + managers(
				`{f:ports: {'k:{"port":80,"protocol":"TCP"}': {f:port: {}, f:nodePort: {}}, 'k:{"port":53,"protocol":"UDP"}': {f:nodePort: {}}}}`,
				`{f:healthCheckNodePort: {}, f:ipFamilies: {}}`,
			) + `
spec:
  ipFamilies: [IPv6]
  ipFamilyPolicy: SingleStack
  healthCheckNodePort: 30001
  ports:
  - {port: 80, protocol: TCP, nodePort: 30000}
  - {port: 81, protocol: TCP, nodePort: 30002}
  - {port: 53, protocol: TCP, nodePort: 30003}
  - {port: 53, protocol: UDP, nodePort: 30004}`,
			want: header("v1 Service") + managers(
				`{f:ports: {'k:{"port":80,"protocol":"TCP"}': {f:port: {}, f:nodePort: {}}, 'k:{"port":53,"protocol":"UDP"}': {f:nodePort: {}}}}`,
				`{f:healthCheckNodePort: {}, f:ipFamilies: {}}`,
			) + `
spec:
  ipFamilies: [IPv6]
  healthCheckNodePort: 30001
  ports: [{port: 80, protocol: TCP, nodePort: 30000}, {port: 81, protocol: TCP}, {port: 53, protocol: TCP}, {port: 53, protocol: UDP, nodePort: 30004}]`,
			reason: "what somebody has written was asked for, by whomever",
		},
		"service with a manager of its status": {
			in:     header("v1 Service") + "metadata: {managedFields: [{subresource: status, fieldsV1: {f:spec: {f:healthCheckNodePort: {}}}}]}\nspec: {healthCheckNodePort: 30001}",
			want:   header("v1 Service") + "metadata: {managedFields: [{subresource: status, fieldsV1: {f:spec: {f:healthCheckNodePort: {}}}}]}\nspec: {}",
			reason: "who writes through a subresource has not written the spec",
		},
		"service with odd managers": {
			in:     header("v1 Service") + "metadata: {managedFields: [1, {}, {fieldsV1: x}, {fieldsV1: {f:spec: []}}, {fieldsV1: {f:spec: {f:ports: x}}}]}\nspec: {ports: [x, {port: x, nodePort: 30000}]}",
			want:   header("v1 Service") + "metadata: {managedFields: [1, {}, {fieldsV1: x}, {fieldsV1: {f:spec: []}}, {fieldsV1: {f:spec: {f:ports: x}}}]}\nspec: {ports: [x, {port: x}]}",
			reason: "what cannot be read says nothing",
		},
		"headless": {
			in:     header("v1 Service") + "spec: {clusterIP: None, clusterIPs: [None], ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6]}",
			want:   header("v1 Service") + "spec: {clusterIP: None, clusterIPs: [None], ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6]}",
			reason: "None is asked for, not allocated, and so are two stacks",
		},
		"job": {
			in: header("batch/v1 Job") + `
metadata: {labels: {job-name: j, batch.kubernetes.io/job-name: j, controller-uid: u, batch.kubernetes.io/controller-uid: u, app: a}}
spec:
  selector: {matchLabels: {batch.kubernetes.io/controller-uid: u}}
  template: {metadata: {labels: {job-name: j, batch.kubernetes.io/job-name: j, controller-uid: u, batch.kubernetes.io/controller-uid: u, app: a}}}`,
			want: header("batch/v1 Job") + `
metadata: {labels: {app: a}}
spec:
  template: {metadata: {labels: {app: a}}}`,
			reason: "the selector holds the UID the job has here",
		},
		"job with own selector": {
			in:     header("batch/v1 Job") + "spec: {manualSelector: true, selector: {matchLabels: {job-name: j}}, template: {metadata: {labels: {job-name: j}}}}",
			want:   header("batch/v1 Job") + "spec: {manualSelector: true, selector: {matchLabels: {job-name: j}}, template: {metadata: {labels: {job-name: j}}}}",
			reason: "the user has chosen it",
		},
		"pod": {
			in: header("v1 Pod") + `
spec:
  nodeName: n1
  priority: 100
  priorityClassName: high
  preemptionPolicy: PreemptLowerPriority
  volumes: [{name: kube-api-access-abcde}, {name: data}]
  initContainers: [{name: i, volumeMounts: [{name: kube-api-access-abcde}]}]
  containers: [{name: c, volumeMounts: [{name: kube-api-access-abcde}, {name: data}]}]
  ephemeralContainers: [{name: e}]
  tolerations:
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 60}
  - {key: gpu, operator: Exists}`,
			want: header("v1 Pod") + `
spec:
  priorityClassName: high
  volumes: [{name: data}]
  initContainers: [{name: i}]
  containers: [{name: c, volumeMounts: [{name: data}]}]
  tolerations:
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 60}
  - {key: gpu, operator: Exists}`,
			reason: "what admission and scheduling put on goes, what the user asked for stays",
		},
		"service account": {
			in:     header("v1 ServiceAccount") + "secrets: [{name: t}]\nimagePullSecrets: [{name: p}]",
			want:   header("v1 ServiceAccount") + "imagePullSecrets: [{name: p}]",
			reason: "tokens exist where they were made",
		},
		"token": {
			in:     header("v1 Secret") + "type: kubernetes.io/service-account-token\nmetadata: {annotations: {kubernetes.io/service-account.name: a, kubernetes.io/service-account.uid: u}}\ndata: {token: eA==}",
			want:   header("v1 Secret") + "type: kubernetes.io/service-account-token\nmetadata: {annotations: {kubernetes.io/service-account.name: a}}",
			reason: "a member fills in its own",
		},
		"secret": {
			in:     header("v1 Secret") + "type: Opaque\ndata: {token: eA==}",
			want:   header("v1 Secret") + "type: Opaque\ndata: {token: eA==}",
			reason: "its data is what it is for",
		},
		"bound claim": {
			in: header("v1 PersistentVolumeClaim") + `
metadata: {annotations: {pv.kubernetes.io/bind-completed: "yes", pv.kubernetes.io/bound-by-controller: "yes", volume.kubernetes.io/selected-node: n, volume.kubernetes.io/storage-provisioner: p, volume.beta.kubernetes.io/storage-provisioner: p}}
spec: {volumeName: v, storageClassName: fast}`,
			want:   header("v1 PersistentVolumeClaim") + "metadata: {}\nspec: {storageClassName: fast}",
			reason: "the binder chose that volume here",
		},
		"claim for a volume": {
			in:     header("v1 PersistentVolumeClaim") + "spec: {volumeName: v}",
			want:   header("v1 PersistentVolumeClaim") + "spec: {volumeName: v}",
			reason: "the user chose that volume",
		},
		"volume": {
			in:     header("v1 PersistentVolume") + "metadata: {annotations: {pv.kubernetes.io/bound-by-controller: 'yes', pv.kubernetes.io/provisioned-by: p}}\nspec: {claimRef: {namespace: n, name: c, uid: u, resourceVersion: '1'}}",
			want:   header("v1 PersistentVolume") + "metadata: {annotations: {pv.kubernetes.io/provisioned-by: p}}\nspec: {claimRef: {namespace: n, name: c}}",
			reason: "the claim has another identity there",
		},
		"autoscaler": {
			in:     header("autoscaling/v1 HorizontalPodAutoscaler") + "metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[]', autoscaling.alpha.kubernetes.io/current-metrics: '[]', autoscaling.alpha.kubernetes.io/behavior: '{}'}}",
			want:   header("autoscaling/v1 HorizontalPodAutoscaler") + "metadata: {annotations: {autoscaling.alpha.kubernetes.io/behavior: '{}'}}",
			reason: "status goes, also where v1 hides it",
		},
		"aggregating role": {
			in:     header("rbac.authorization.k8s.io/v1 ClusterRole") + "aggregationRule: {clusterRoleSelectors: [{}]}\nrules: [{verbs: [get]}]",
			want:   header("rbac.authorization.k8s.io/v1 ClusterRole") + "aggregationRule: {clusterRoleSelectors: [{}]}",
			reason: "each member gathers its own rules",
		},
		"role": {
			in:     header("rbac.authorization.k8s.io/v1 ClusterRole") + "rules: [{verbs: [get]}]",
			want:   header("rbac.authorization.k8s.io/v1 ClusterRole") + "rules: [{verbs: [get]}]",
			reason: "its rules are what it is for",
		},
		"namespace": {
			in:     header("v1 Namespace") + "metadata: {labels: {kubernetes.io/metadata.name: n}}\nspec: {finalizers: [kubernetes]}",
			want:   header("v1 Namespace") + "metadata: {}",
			reason: "every API server gives these",
		},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, c.in)
			prune := interpretation(t, obj).Prune
			prune(obj)
			require.Equal(t, object(t, c.want), obj, c.reason)
			prune(obj)
			require.Equal(t, object(t, c.want), obj, "twice is as good as once")
		})
	}
}
