package native

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func BenchmarkReflectDeployment(b *testing.B) {
	obj := object(b, deploymentInMember)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := deployment.ReflectStatus(obj); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHealthOfDeployment(b *testing.B) {
	obj := object(b, deploymentInMember)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := deployment.Health(obj); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAggregateDeployment measures the usual case, in which the fold
// changes nothing, and the one in which every call does.
func BenchmarkAggregateDeployment(b *testing.B) {
	reflected, err := deployment.ReflectStatus(object(b, deploymentInMember))
	require.NoError(b, err)
	for _, clusters := range []int{3, 30, 300} {
		items := make([]workv1alpha2.AggregatedStatusItem, clusters)
		for i := range items {
			items[i] = workv1alpha2.AggregatedStatusItem{ClusterName: fmt.Sprintf("cluster-%03d", i), Status: reflected, Applied: true}
		}
		for _, change := range []bool{false, true} {
			b.Run(fmt.Sprintf("clusters=%d/changes=%t", clusters, change), func(b *testing.B) {
				template := object(b, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, generation: 7}\nspec: {replicas: 9}")
				b.ReportAllocs()
				for b.Loop() {
					if change {
						delete(template.Object, "status")
					}
					if _, err := deployment.AggregateStatus(template, items); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkRequirements(b *testing.B) {
	obj := object(b, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  template: {spec: {containers: [{name: a, image: i, resources: {requests: {cpu: 100m, memory: 64Mi}}}]}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := deployment.Replicas(obj); err != nil {
			b.Fatal(err)
		}
	}
}

// serviceWithManagers is a Service as an API server returns it.
const serviceWithManagers = `
apiVersion: v1
kind: Service
metadata:
  name: s
  managedFields:
  - {manager: kubectl, operation: Apply, fieldsType: FieldsV1, fieldsV1: {f:metadata: {f:labels: {f:app: {}}}, f:spec: {f:type: {}, f:selector: {}, f:ports: {'k:{"port":80,"protocol":"TCP"}': {.: {}, f:name: {}, f:port: {}, f:nodePort: {}}}}}}
  - {manager: edit, operation: Update, fieldsType: FieldsV1, fieldsV1: {f:spec: {f:ports: {'k:{"port":81,"protocol":"TCP"}': {.: {}, f:name: {}, f:port: {}}}}}}
  - {manager: controller, operation: Update, fieldsType: FieldsV1, subresource: status, fieldsV1: {f:status: {f:loadBalancer: {f:ingress: {}}}}}
spec:
  type: NodePort
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  ports: [{name: a, port: 80, protocol: TCP, nodePort: 30000}, {name: b, port: 81, protocol: TCP, nodePort: 30001}]`

// BenchmarkPruneService measures the copy that is pruned, too, which is what a
// change of a Service costs; copy alone is for comparison.
func BenchmarkPruneService(b *testing.B) {
	obj := object(b, serviceWithManagers)
	for name, prune := range map[string]func(*unstructured.Unstructured){"copy": func(*unstructured.Unstructured) {}, "prune": service.Prune} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				prune(obj.DeepCopy())
			}
		})
	}
}
