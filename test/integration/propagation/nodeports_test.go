package propagation

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

// What of a Service is asked for and what is allocated is told apart by who has
// written it, which only the real API server can show.
func TestNodePortsThatWereAskedFor(t *testing.T) {
	c, err := dynamic.NewForConfig(fed.Config)
	require.NoError(t, err)
	services := c.Resource(schema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace(newNamespace(t))
	type object = map[string]any
	service := func(spec object) *unstructured.Unstructured {
		spec["selector"] = object{"app": "x"}
		return &unstructured.Unstructured{Object: object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": "s"}, "spec": spec}}
	}
	create := func(spec object) {
		t.Helper()
		_, err := services.Create(t.Context(), service(spec), metav1.CreateOptions{FieldManager: "kubectl-create"})
		require.NoError(t, err)
	}
	apply := func(spec object) {
		t.Helper()
		_, err := services.Apply(t.Context(), "s", service(spec), metav1.ApplyOptions{FieldManager: "kubectl"})
		require.NoError(t, err)
	}
	patch := func(kind types.PatchType, body object, subresources ...string) {
		t.Helper()
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		_, err = services.Patch(t.Context(), "s", kind, raw, metav1.PatchOptions{FieldManager: "kubectl-edit"}, subresources...)
		require.NoError(t, err)
	}
	replace := func(change func(spec object)) {
		t.Helper()
		obj, err := services.Get(t.Context(), "s", metav1.GetOptions{})
		require.NoError(t, err)
		change(obj.Object["spec"].(object))
		_, err = services.Update(t.Context(), obj, metav1.UpdateOptions{FieldManager: "kubectl-replace"})
		require.NoError(t, err)
	}
	port := func(port, nodePort int64) any {
		p := object{"name": fmt.Sprintf("p%d", port), "port": port}
		if nodePort != 0 {
			p["nodePort"] = nodePort
		}
		return p
	}
	first := func(spec object) object { return spec["ports"].([]any)[0].(object) }

	tests := map[string]struct {
		reason string
		write  func()
		want   string // port:nodePort, and the health check's
	}{
		"create": {"all are allocated", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 0), port(81, 0)}})
		}, "80 81"},
		"create, one given": {"one is asked for", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 30080), port(81, 0)}})
		}, "80:30080 81"},
		"create, zero": {"zero is the wish to have one allocated", func() {
			spec := object{"type": "NodePort", "ports": []any{port(80, 0)}}
			first(spec)["nodePort"] = int64(0)
			create(spec)
		}, "80"},
		"apply": {"all are allocated", func() {
			apply(object{"type": "NodePort", "ports": []any{port(80, 0), port(81, 0)}})
		}, "80 81"},
		"apply, one given": {"one is asked for", func() {
			apply(object{"type": "NodePort", "ports": []any{port(80, 30080), port(81, 0)}})
		}, "80:30080 81"},
		"apply, then not": {"who applies without it gives it up; the server keeps it", func() {
			apply(object{"type": "NodePort", "ports": []any{port(80, 30080)}})
			apply(object{"type": "NodePort", "ports": []any{port(80, 0)}})
		}, "80"},
		"apply twice": {"nothing changes", func() {
			apply(object{"type": "NodePort", "ports": []any{port(80, 0)}})
			apply(object{"type": "NodePort", "ports": []any{port(80, 0), port(81, 0)}})
		}, "80 81"},
		"UDP and TCP": {"a port is a number and a protocol", func() {
			tcp, udp := port(53, 0).(object), port(53, 30053).(object)
			udp["protocol"], udp["name"] = "UDP", "udp"
			apply(object{"type": "NodePort", "ports": []any{tcp, udp}})
		}, "53 53:30053"},
		"replace": {"what is written back as it was read is not asked for", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 0)}})
			replace(func(spec object) {
				spec["sessionAffinity"] = "ClientIP"
				spec["ports"] = append(spec["ports"].([]any), port(81, 0))
			})
		}, "80 81"},
		"replace without": {"the server puts the allocated one back", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 0)}})
			replace(func(spec object) { delete(first(spec), "nodePort") })
		}, "80"},
		"replace with another": {"now it is asked for", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 0)}})
			replace(func(spec object) { first(spec)["nodePort"] = int64(30081) })
		}, "80:30081"},
		"client-side apply": {"a strategic merge patch", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 0)}})
			patch(types.StrategicMergePatchType, object{"spec": object{"ports": []any{port(80, 0), port(81, 30081)}}})
		}, "80 81:30081"},
		"edit": {"a merge patch has the whole list, the allocated port as it was", func() {
			create(object{"type": "NodePort", "ports": []any{port(80, 0)}})
			obj, err := services.Get(t.Context(), "s", metav1.GetOptions{})
			require.NoError(t, err)
			ports := obj.Object["spec"].(object)["ports"].([]any)
			patch(types.MergePatchType, object{"spec": object{"ports": append(ports, port(81, 0))}})
		}, "80 81"},
		"another type": {"allocated with the change", func() {
			create(object{"ports": []any{port(80, 0)}})
			patch(types.MergePatchType, object{"spec": object{"type": "NodePort"}})
		}, "80"},
		"status": {"who writes a status asks for nothing", func() {
			create(object{"type": "LoadBalancer", "ports": []any{port(80, 0)}})
			patch(types.MergePatchType, object{"status": object{"loadBalancer": object{"ingress": []any{object{"ip": "192.0.2.1"}}}}}, "status")
		}, "80"},
		"health check": {"allocated", func() {
			create(object{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": []any{port(80, 0)}})
		}, "80"},
		"health check given": {"asked for", func() {
			create(object{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": int64(30090), "ports": []any{port(80, 0)}})
		}, "80 health:30090"},
		"families": {"one of one family has that of each member", func() {
			create(object{"ports": []any{port(80, 0)}})
		}, "80"},
		"families given": {"asked for", func() {
			create(object{"ports": []any{port(80, 0)}, "ipFamilies": []any{"IPv4"}, "ipFamilyPolicy": "SingleStack"})
		}, "80 [IPv4] SingleStack"},
		"family given": {"the policy is not", func() {
			apply(object{"ports": []any{port(80, 0)}, "ipFamilies": []any{"IPv4"}})
		}, "80 [IPv4]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.write()
			obj, err := services.Get(t.Context(), "s", metav1.GetOptions{})
			require.NoError(t, err)
			require.NoError(t, services.Delete(t.Context(), "s", metav1.DeleteOptions{}))
			managers, err := json.Marshal(obj.GetManagedFields())
			require.NoError(t, err)
			interpreter.New().Prune(obj)
			assert.Equal(t, tt.want, traveling(obj), "%s: %s", tt.reason, managers)
		})
	}
}

// traveling is what of a pruned Service an API server might have allocated.
func traveling(obj *unstructured.Unstructured) (out string) {
	spec := obj.Object["spec"].(map[string]any)
	for _, entry := range spec["ports"].([]any) {
		p := entry.(map[string]any)
		if out != "" {
			out += " "
		}
		out += fmt.Sprint(p["port"])
		if n, ok := p["nodePort"]; ok {
			out += fmt.Sprintf(":%v", n)
		}
	}
	if n, ok := spec["healthCheckNodePort"]; ok {
		out += fmt.Sprintf(" health:%v", n)
	}
	for _, field := range []string{"ipFamilies", "ipFamilyPolicy"} {
		if v, ok := spec[field]; ok {
			out += fmt.Sprintf(" %v", v)
		}
	}
	return out
}

// What is asked for is in the Work, whoever has claimed the template meanwhile.
func TestNodePortsInWorks(t *testing.T) {
	startControllers(t)
	ns := newNamespace(t)
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{
				{Name: "given", Port: 80, NodePort: 30180},
				{Name: "allocated", Port: 81},
			},
		},
	}
	create(t, svc, policy(ns, "p", policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Service"}))
	require.NotZero(t, svc.Spec.Ports[1].NodePort)
	b := &workv1alpha2.ResourceBinding{}
	eventually(t, func() bool {
		return fed.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: names.BindingName("Service", svc.Name)}, b) == nil
	}, "binding")
	update(t, b, func(b *workv1alpha2.ResourceBinding) {
		b.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}}
	})
	work := &workv1alpha1.Work{}
	key := client.ObjectKey{Namespace: names.ExecutionNamespace("eu"), Name: names.WorkName("Service", ns, svc.Name)}
	eventually(t, func() bool {
		return fed.Get(t.Context(), key, work) == nil && len(work.Spec.Workload.Manifests) == 1
	}, "work")
	sent := &unstructured.Unstructured{}
	require.NoError(t, sent.UnmarshalJSON(work.Spec.Workload.Manifests[0].Raw))
	assert.Equal(t, "80:30180 81", traveling(sent))
	assert.Empty(t, sent.GetManagedFields())

	eventually(t, func() bool {
		return fed.Get(t.Context(), client.ObjectKeyFromObject(b), b) == nil && meta.FindStatusCondition(b.Status.Conditions, workv1alpha2.FullyApplied) != nil
	}, "the last write: no agent has reported")
}
