package apiserver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// The ways kubectl changes a Deployment.
func TestDeploymentsBehaveAsInKubernetes(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web")
	create(t, d)
	assert.EqualValues(t, 1, d.Generation)
	assert.Equal(t, appsv1.RollingUpdateDeploymentStrategyType, d.Spec.Strategy.Type, "defaults are those of Kubernetes")

	patch := func(kind types.PatchType, body string) {
		t.Helper()
		require.NoError(t, fed.Patch(t.Context(), d, client.RawPatch(kind, []byte(body))))
	}
	patch(types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"d","image":"j"}]}}}}`)
	assert.Len(t, d.Spec.Template.Spec.Containers, 2, "a strategic merge adds to the list")
	patch(types.JSONPatchType, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"k"}]`)
	assert.Equal(t, "k", d.Spec.Template.Spec.Containers[0].Image)
	patch(types.MergePatchType, `{"metadata":{"labels":{"tier":"front"}}}`)
	assert.EqualValues(t, 3, d.Generation, "metadata is not spec")

	scale := &autoscalingv1.Scale{}
	require.NoError(t, fed.SubResource("scale").Get(t.Context(), d, scale))
	scale.Spec.Replicas = 10
	require.NoError(t, fed.SubResource("scale").Update(t.Context(), d, client.WithSubResourceBody(scale)))
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(d), d))
	assert.EqualValues(t, 10, *d.Spec.Replicas)

	d.Spec.Selector.MatchLabels["app"] = "other"
	err := fed.Update(t.Context(), d)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "spec.selector")

	bad := deployment(ns, "bad")
	bad.Spec.Template.Spec.Containers[0].Image = ""
	err = fed.Create(t.Context(), bad)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "spec.template.spec.containers[0].image")

	privileged := deployment(ns, "privileged")
	privileged.Spec.Template.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	require.NoError(t, fed.Create(t.Context(), privileged), "members decide about that")
}

func TestServicesGetAddresses(t *testing.T) {
	ns := newNamespace(t)
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "s"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"a": "b"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	eventually(t, func() bool { return fed.Create(t.Context(), s) == nil }, "the allocator is ready")
	assert.NotEmpty(t, s.Spec.ClusterIP)
	assert.NotZero(t, s.Spec.Ports[0].NodePort)
}

func TestCustomResourcesAreTemplates(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	group := ns + ".example.io"
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "things." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList", "shortNames": []any{"th"}},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"subresources": map[string]any{"status": map[string]any{}, "scale": map[string]any{
					"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"spec": map[string]any{"type": "object", "properties": map[string]any{
						"replicas": map[string]any{"type": "integer", "minimum": int64(0)}, "size": map[string]any{"type": "string", "default": "small"}}},
					"status": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
				}}},
			}},
		},
	}}
	create(t, crd, policy(ns, "p", policyv1alpha1.ResourceSelector{APIVersion: group + "/v1", Kind: "Thing"}))
	things := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "things"}
	thing := func(spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": group + "/v1", "kind": "Thing", "metadata": map[string]any{"name": "x"}, "spec": spec}}
	}
	var got *unstructured.Unstructured
	eventually(t, func() bool {
		var err error
		got, err = fed.dynamic.Resource(things).Namespace(ns).Create(t.Context(), thing(map[string]any{"replicas": int64(2)}), metav1.CreateOptions{})
		return err == nil
	}, "the kind is served")
	size, _, _ := unstructured.NestedString(got.Object, "spec", "size")
	assert.Equal(t, "small", size, "defaults of the schema")
	assert.Equal(t, "p", got.GetAnnotations()[names.PropagationPolicyNameAnnotation], "claimed like any other")
	assert.Equal(t, "true", got.GetLabels()[names.LabelBound])

	_, err := fed.dynamic.Resource(things).Namespace(ns).Apply(t.Context(), "x", thing(map[string]any{"size": "big"}), metav1.ApplyOptions{FieldManager: "me", Force: true})
	require.NoError(t, err)
	_, err = fed.dynamic.Resource(things).Namespace(ns).Patch(t.Context(), "x", types.MergePatchType, []byte(`{"spec":{"replicas":7}}`), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
	_, err = fed.dynamic.Resource(things).Namespace(ns).Patch(t.Context(), "x", types.MergePatchType, []byte(`{"status":{"replicas":7}}`), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	got, err = fed.dynamic.Resource(things).Namespace(ns).Get(t.Context(), "x", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"replicas": int64(7), "size": "big"}, got.Object["spec"])
	_, err = fed.dynamic.Resource(things).Namespace(ns).Patch(t.Context(), "x", types.MergePatchType, []byte(`{"spec":{"replicas":-1}}`), metav1.PatchOptions{})
	require.True(t, apierrors.IsInvalid(err), "%v", err)

	// Its Works follow, too, though its kind came after the server started.
	join(t, "custom")
	b := bindingFor(t, got, ns, "x-thing", "custom")
	create(t, b)
	name := names.WorkName("Thing", ns, "x")
	eventually(t, func() bool {
		w, err := fed.dynamic.Resource(works).Namespace("karmada-es-custom").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return false
		}
		manifests, _, _ := unstructured.NestedSlice(w.Object, "spec", "workload", "manifests")
		return len(manifests) == 1
	}, "work of a custom resource")

	require.NoError(t, fed.Delete(t.Context(), crd))
	eventually(t, func() bool {
		_, err := fed.dynamic.Resource(things).Namespace(ns).Get(t.Context(), "x", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, "the kind goes, and its objects with it")
}
