package interpreter

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apijson "k8s.io/apimachinery/pkg/util/json"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// fuzzedKinds is one kind of every sort, and one that is passed through.
var fuzzedKinds = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Group: "batch", Version: "v1", Kind: "Job"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
	{Version: "v1", Kind: "Pod"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Version: "v1", Kind: "PersistentVolumeClaim"},
	{Version: "v1", Kind: "PersistentVolume"},
	{Version: "v1", Kind: "Namespace"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
	{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	{Group: "example.com", Version: "v1", Kind: "Widget"},
}

var seeds = []string{
	`{}`,
	`{"metadata":{"generation":2,"annotations":{"resourcetemplate.karmada.io/generation":"3"}},"spec":{"replicas":3,"parallelism":2,"completions":4,"template":{"metadata":{"labels":{"job-name":"x"}},"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"1"},"limits":{"memory":"1Gi"}},"volumeMounts":[{"name":"kube-api-access-x"}]}]}}},"status":{"observedGeneration":2,"replicas":3,"conditions":[{"type":"Available","status":"True"}]}}`,
	`{"metadata":null,"spec":[],"status":"x"}`,
	`{"metadata":{"annotations":[],"labels":3},"spec":{"replicas":-1.5,"ports":[1,{"nodePort":{}}],"template":{"spec":{"containers":{"a":1}}},"volumes":[null],"tolerations":[[]],"claimRef":"x"},"status":{"conditions":[null,1,{"type":1}],"loadBalancer":[],"capacity":{"storage":[]},"active":[null,{"uid":1}],"containerStatuses":[{"state":{"running":3}}]}}`,
	`{"metadata":{"managedFields":[{"fieldsV1":{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:nodePort":{}}}}}}]},"spec":{"ports":[{"port":80,"protocol":"TCP","nodePort":30000}]}}`,
	`{"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[{"ip":"1.1.1.1"},{"ports":[{"port":1}]}]},"phase":"Bound","capacity":{"storage":"1Gi"},"startTime":"2026-01-01T00:00:00Z","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":1}}}]}}`,
}

// FuzzObjects gives every function an object of any shape. Nothing may panic,
// and what only reads may not write.
func FuzzObjects(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkObject(t, raw) })
}

// failer is what the checks need of *testing.T and *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func checkObject(t failer, raw []byte) {
	for _, kind := range fuzzedKinds {
		obj := decodeAs(kind, raw)
		if obj == nil {
			return
		}
		before := encoded(t, obj)
		_, _, _, _ = New().Replicas(obj)
		status, _ := New().ReflectStatus(obj)
		_, _ = New().Health(obj)
		if encoded(t, obj) != before {
			t.Fatalf("%s: reading wrote to %s", kind.Kind, before)
		}
		if status != nil && !json.Valid(status.Raw) {
			t.Fatalf("%s: reflected %q is not JSON", kind.Kind, status.Raw)
		}

		item := workv1alpha2.AggregatedStatusItem{ClusterName: "eu", Status: status}
		template := obj.DeepCopy()
		if _, err := New().AggregateStatus(template, []workv1alpha2.AggregatedStatusItem{item}); err == nil {
			settled(t, kind, template, []workv1alpha2.AggregatedStatusItem{item})
		}

		_ = ReviseCompletions(obj, []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 2}}, "eu")
		_ = New().ReviseReplicas(obj, 2)
		managers, _, _ := unstructured.NestedFieldNoCopy(obj.Object, "metadata", "managedFields")
		New().Prune(obj)
		once := encoded(t, obj)
		if metadata, ok := obj.Object["metadata"].(map[string]any); ok {
			metadata["managedFields"] = managers
		}
		New().Prune(obj)
		if twice := encoded(t, obj); twice != once {
			t.Fatalf("%s: pruning twice is not pruning once:\n%s\n%s", kind.Kind, once, twice)
		}
	}
}

// FuzzReports aggregates reports of any shape into a template of any shape.
func FuzzReports(f *testing.F) {
	for _, seed := range seeds {
		for _, report := range []string{
			`{"replicas":1,"observedGeneration":1,"conditions":[{"type":"Available","status":"False","message":"x"}]}`,
			`{"startTime":"x","conditions":[{"type":"Complete","status":"True"},{"type":"Failed","status":"True"}]}`,
			`{"loadBalancer":{"ingress":[{"ip":"1"},{"hostname":"a","ports":[{}]}]},"phase":"Lost","capacity":{"storage":"x"}}`,
			`null`, `[]`, `{"replicas":9223372036854775807}`,
		} {
			f.Add([]byte(seed), []byte(report), []byte(`{"active":1,"phase":"Bound"}`))
		}
	}
	f.Fuzz(func(t *testing.T, raw, one, two []byte) {
		checkReports(t, raw, []workv1alpha2.AggregatedStatusItem{
			{ClusterName: "eu", Status: &runtime.RawExtension{Raw: one}},
			{ClusterName: "ap", Status: &runtime.RawExtension{Raw: two}},
			{ClusterName: "us"},
		})
	})
}

func checkReports(t failer, raw []byte, items []workv1alpha2.AggregatedStatusItem) {
	reversed := []workv1alpha2.AggregatedStatusItem{items[2], items[1], items[0]}
	for _, kind := range fuzzedKinds {
		template := decodeAs(kind, raw)
		if template == nil {
			return
		}
		other := template.DeepCopy()
		before := encoded(t, template)
		changed, _ := New().AggregateStatus(template, items)
		if after := encoded(t, template); !changed && after != before {
			t.Fatalf("%s: claims not to have changed\n%s\nto\n%s", kind.Kind, before, after)
		}
		settled(t, kind, template, items)
		_, _ = New().AggregateStatus(other, reversed)
		if a, b := encoded(t, template), encoded(t, other); a != b {
			t.Fatalf("%s: the order matters:\n%s\n%s", kind.Kind, a, b)
		}
	}
}

// settled checks that aggregating once more changes nothing.
func settled(t failer, kind schema.GroupVersionKind, template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) {
	t.Helper()
	before := encoded(t, template)
	if changed, _ := New().AggregateStatus(template, items); changed || encoded(t, template) != before {
		t.Fatalf("%s: does not settle: %s then %s", kind.Kind, before, encoded(t, template))
	}
}

// decodeAs makes an object of a kind out of any JSON map; nil if it is none.
func decodeAs(kind schema.GroupVersionKind, raw []byte) *unstructured.Unstructured {
	var content map[string]any
	if err := apijson.Unmarshal(raw, &content); err != nil || content == nil {
		return nil
	}
	obj := &unstructured.Unstructured{Object: content}
	obj.SetGroupVersionKind(kind)
	return obj
}

func encoded(t failer, obj *unstructured.Unstructured) string {
	t.Helper()
	raw, err := json.Marshal(obj.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
