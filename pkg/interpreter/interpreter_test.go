package interpreter

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func object(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	require.NoError(t, err)
	obj := &unstructured.Unstructured{}
	require.NoError(t, obj.UnmarshalJSON(raw))
	return obj
}

func report(cluster, status string) workv1alpha2.AggregatedStatusItem {
	item := workv1alpha2.AggregatedStatusItem{ClusterName: cluster}
	if status != "" {
		item.Status = &runtime.RawExtension{Raw: []byte(status)}
	}
	return item
}

const widget = "apiVersion: example.com/v1\nkind: Widget\n"

func TestPassedThroughReflectStatus(t *testing.T) {
	for name, c := range map[string]struct{ in, want, reason string }{
		"no status":    {"spec: {a: b}", "", "nothing to tell"},
		"empty status": {"status: {}", "", "nothing to tell"},
		"whole":        {"status: {phase: Up, list: [1, {a: b}]}", `{"phase":"Up","list":[1,{"a":"b"}]}`, "everything, since nothing is known about it"},
		"not a map":    {"status: Up", `"Up"`, "whatever it is"},
		"observed": {
			"metadata: {generation: 2, annotations: {resourcetemplate.karmada.io/generation: '7'}}\nstatus: {observedGeneration: 2, conditions: [{type: Ready, observedGeneration: 2}, {type: Old, observedGeneration: 1}, odd]}",
			`{"observedGeneration":7,"conditions":[{"type":"Ready","observedGeneration":7},{"type":"Old"},"odd"]}`,
			"the member's generations become the template's, and one that has none goes",
		},
		"behind": {
			"metadata: {generation: 2, annotations: {resourcetemplate.karmada.io/generation: '7'}}\nstatus: {observedGeneration: 1, phase: Up}",
			`{"phase":"Up"}`,
			"which generation of the template that was is not known",
		},
		"no template": {"metadata: {generation: 2}\nstatus: {observedGeneration: 1}", `{"observedGeneration":1}`, "an object that no template was made into stays as it is"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := object(t, widget+c.in)
			before := obj.DeepCopy()
			got, err := New().ReflectStatus(obj)
			require.NoError(t, err)
			require.Equal(t, before, obj, "reading does not write")
			if c.want == "" {
				require.Nil(t, got, c.reason)
				return
			}
			require.JSONEq(t, c.want, string(got.Raw), c.reason)
		})
	}
}

func TestPassedThroughHealth(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		want   workv1alpha2.ResourceHealth
		reason string
	}{
		"no status":           {"spec: {}", workv1alpha2.ResourceHealthy, "nothing to wait for"},
		"ready":               {"status: {conditions: [{type: Other, status: 'False'}, {type: Ready, status: 'True'}]}", workv1alpha2.ResourceHealthy, "says so"},
		"not ready":           {"status: {conditions: [{type: Available, status: 'True'}, {type: Ready, status: 'False'}]}", workv1alpha2.ResourceUnhealthy, "Ready comes first"},
		"undecided":           {"status: {conditions: [{type: Ready, status: Unknown}]}", workv1alpha2.ResourceUnknown, "says so"},
		"available":           {"status: {conditions: [{type: Available, status: 'True'}]}", workv1alpha2.ResourceHealthy, "says so"},
		"healthy":             {"status: {conditions: [{type: Healthy, status: 'False'}]}", workv1alpha2.ResourceUnhealthy, "says not"},
		"nothing known":       {"status: {phase: Up}", workv1alpha2.ResourceUnknown, "no convention covers it"},
		"behind":              {"metadata: {generation: 2}\nstatus: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}", workv1alpha2.ResourceUnknown, "that was about an older spec"},
		"condition is behind": {"metadata: {generation: 2}\nstatus: {conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}", workv1alpha2.ResourceUnknown, "that was about an older spec"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := New().Health(object(t, widget+c.in))
			require.NoError(t, err)
			require.Equal(t, c.want, got, c.reason)
		})
	}
}

func TestPassedThroughAggregateStatus(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		items  []workv1alpha2.AggregatedStatusItem
		want   string // the whole template; "" if nothing changes
		reason string
	}{
		"one cluster":       {"status: {phase: Down, old: 1}", []workv1alpha2.AggregatedStatusItem{report("eu", `{"phase":"Up","size":2}`)}, "status: {phase: Up, size: 2}", "its status is the template's"},
		"same":              {"status: {phase: Up, size: 2}", []workv1alpha2.AggregatedStatusItem{report("eu", `{"size":2,"phase":"Up"}`)}, "", "nothing new"},
		"keeps observed":    {"status: {observedGeneration: 3}", []workv1alpha2.AggregatedStatusItem{report("eu", `{"phase":"Up"}`)}, "status: {phase: Up, observedGeneration: 3}", "a member that is behind does not undo what was observed"},
		"same but observed": {"status: {phase: Up, observedGeneration: 3}", []workv1alpha2.AggregatedStatusItem{report("eu", `{"phase":"Up"}`)}, "", "nothing new"},
		"two clusters":      {"status: {phase: Down}", []workv1alpha2.AggregatedStatusItem{report("eu", `{"phase":"Up"}`), report("ap", `{"phase":"Up"}`)}, "", "nobody knows how to merge them"},
		"not reported":      {"status: {phase: Down}", []workv1alpha2.AggregatedStatusItem{report("eu", "")}, "", "nothing new"},
		"null":              {"status: {phase: Down}", []workv1alpha2.AggregatedStatusItem{report("eu", "null")}, "", "nothing new"},
		"nowhere":           {"status: {phase: Down}", nil, "", "the status may be somebody else's"},
	} {
		t.Run(name, func(t *testing.T) {
			template := object(t, widget+c.in)
			changed, err := New().AggregateStatus(template, c.items)
			require.NoError(t, err, c.reason)
			require.Equal(t, c.want != "", changed, c.reason)
			if c.want == "" {
				c.want = c.in
			}
			require.Equal(t, object(t, widget+c.want), template, c.reason)
		})
	}
	_, err := New().AggregateStatus(object(t, widget), []workv1alpha2.AggregatedStatusItem{report("eu", `"Up"`)})
	require.ErrorIs(t, err, ErrMalformed)
	require.ErrorContains(t, err, `"eu"`)
}

func TestKindsWithoutStatusOfTheirOwn(t *testing.T) {
	for _, header := range []string{
		"apiVersion: v1\nkind: ConfigMap\n", "apiVersion: v1\nkind: Secret\n", "apiVersion: v1\nkind: ServiceAccount\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n",
	} {
		obj := object(t, header)
		status, err := New().ReflectStatus(obj)
		require.NoError(t, err)
		require.Nil(t, status, header)
		health, err := New().Health(obj)
		require.NoError(t, err)
		require.Equal(t, workv1alpha2.ResourceHealthy, health, header)
		changed, err := New().AggregateStatus(obj, []workv1alpha2.AggregatedStatusItem{report("eu", `{"a":1}`)})
		require.NoError(t, err)
		require.False(t, changed, header)
	}
	for _, header := range []string{"apiVersion: v1\nkind: Namespace\n", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"} {
		changed, err := New().AggregateStatus(object(t, header), []workv1alpha2.AggregatedStatusItem{report("eu", `{"phase":"Terminating","conditions":[]}`)})
		require.NoError(t, err)
		require.False(t, changed, "the federation's own status: "+header)
	}
}

func TestReplicas(t *testing.T) {
	replicas, req, ok, err := New().Replicas(object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop}\nspec: {replicas: 4}"))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, int32(4), replicas)
	require.Equal(t, "shop", req.Namespace)

	for _, header := range []string{widget, "apiVersion: v1\nkind: Pod\n", "apiVersion: apps/v1\nkind: DaemonSet\n", "apiVersion: batch/v1\nkind: CronJob\n"} {
		obj := object(t, header+"metadata: {name: x}\nspec: {replicas: 4}")
		_, _, ok, err := New().Replicas(obj)
		require.NoError(t, err)
		require.False(t, ok, header)
		err = New().ReviseReplicas(obj, 2)
		require.ErrorIs(t, err, ErrNoReplicas, header)
		require.ErrorContains(t, err, " x", "names the object")
	}

	obj := object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {replicas: x}")
	_, _, _, err = New().Replicas(obj)
	require.ErrorIs(t, err, ErrMalformed)
	require.ErrorContains(t, err, "apps/Deployment shop/web")
	require.ErrorContains(t, err, "spec.replicas")
	require.ErrorIs(t, New().ReviseReplicas(obj, -1), ErrMalformed)
	require.NoError(t, New().ReviseReplicas(obj, 2))
	require.Equal(t, int64(2), obj.Object["spec"].(map[string]any)["replicas"])
}

func TestReviseCompletions(t *testing.T) {
	clusters := []workv1alpha2.TargetCluster{{Name: "ap", Replicas: 1}, {Name: "eu", Replicas: 2}}
	job := object(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {parallelism: 3, completions: 9}")
	require.NoError(t, ReviseCompletions(job, clusters, "eu"))
	require.Equal(t, object(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {parallelism: 3, completions: 6}"), job)

	job = object(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {parallelism: 3, completions: 9}")
	require.ErrorIs(t, ReviseCompletions(job, clusters, "us"), ErrMalformed, "not one of its clusters")

	for _, same := range []string{
		"apiVersion: batch/v1\nkind: Job\nspec: {parallelism: 3}",
		"apiVersion: batch/v1\nkind: Job\nspec: {parallelism: 2, completions: 9}",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {parallelism: 3, completions: 9}",
	} {
		obj := object(t, same)
		require.NoError(t, ReviseCompletions(obj, clusters, "eu"))
		require.Equal(t, object(t, same), obj)
	}
}

func TestPrune(t *testing.T) {
	obj := object(t, widget+`
metadata:
  name: w
  namespace: shop
  uid: u
  resourceVersion: "1"
  generation: 2
  creationTimestamp: "2026-01-01T00:00:00Z"
  deletionTimestamp: "2026-01-01T00:00:00Z"
  deletionGracePeriodSeconds: 30
  selfLink: /x
  managedFields: [{}]
  ownerReferences: [{name: o}]
  finalizers: [a/b]
  labels: {app: a, propagationpolicy.karmada.io/permanent-id: p}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", propagationpolicy.karmada.io/name: p}
spec: {a: b}
status: {phase: Up}`)
	want := object(t, widget+`
metadata:
  name: w
  namespace: shop
  labels: {app: a, propagationpolicy.karmada.io/permanent-id: p}
  annotations: {propagationpolicy.karmada.io/name: p}
spec: {a: b}`)
	New().Prune(obj)
	require.Equal(t, want, obj, "what the server set goes; the claim is not this package's to take off")

	obj = object(t, "apiVersion: v1\nkind: Service\nmetadata: {uid: u, annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}\nspec: {clusterIP: 10.0.0.1, type: ClusterIP}\nstatus: {loadBalancer: {}}")
	New().Prune(obj)
	require.Equal(t, object(t, "apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {type: ClusterIP}"), obj, "and what is particular to the kind")
}
