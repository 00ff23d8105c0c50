package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func deployment() *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": int64(2)}}}
	obj.SetAPIVersion("apps/v1")
	obj.SetKind("Deployment")
	obj.SetNamespace("default")
	obj.SetName("web")
	obj.SetUID("uid")
	obj.SetResourceVersion("7")
	obj.SetGeneration(1)
	return obj
}

// bindingOf makes a binding to the named clusters.
func bindingOf(clusters ...string) *workv1alpha2.ResourceBinding {
	b := &workv1alpha2.ResourceBinding{}
	b.Namespace, b.Name = "default", "web-deployment"
	b.Spec.Resource = workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "web", UID: "uid"}
	for _, c := range clusters {
		b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c, Replicas: 1})
	}
	return b
}

func report(cluster, status string) workv1alpha2.AggregatedStatusItem {
	return workv1alpha2.AggregatedStatusItem{ClusterName: cluster, Applied: true, Status: &runtime.RawExtension{Raw: []byte(status)}}
}

func applied(b *workv1alpha2.ResourceBinding, since time.Time) *workv1alpha2.ResourceBinding {
	b.Status.Conditions = []metav1.Condition{{
		Type: workv1alpha2.FullyApplied, Status: metav1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(since),
	}}
	return b
}

type world struct {
	*TemplateReconciler
	binding  workv1alpha2.Binding
	template *unstructured.Unstructured
	writes   int
	writeErr error
	said     []string
}

func newWorld(b workv1alpha2.Binding) *world {
	w := &world{binding: b, template: deployment()}
	recorder := events.Func(func(_ context.Context, about corev1.ObjectReference, eventType, reason, note string) {
		w.said = append(w.said, eventType+" "+reason+" "+about.Name+": "+note)
	})
	w.TemplateReconciler = &TemplateReconciler{
		Binding: func(context.Context, string, string) (workv1alpha2.Binding, error) { return w.binding, nil },
		Template: func(context.Context, templates.Key) (*unstructured.Unstructured, error) {
			if w.template == nil {
				return nil, apierrors.NewNotFound(schema.GroupResource{}, "web")
			}
			return w.template, nil
		},
		Aggregate: interpreter.New().AggregateStatus,
		WriteStatus: func(_ context.Context, _ templates.Key, _, to *unstructured.Unstructured) error {
			w.writes++
			if w.writeErr == nil {
				w.template = to
			}
			return w.writeErr
		},
		Sync: recorder, Aggregated: recorder,
		Now: func() time.Time { return now },
	}
	return w
}

func (w *world) run(t *testing.T) reconcile.Result {
	t.Helper()
	res, err := w.Reconcile(t.Context(), reconcile.Request{})
	require.NoError(t, err)
	return res
}

func TestStatusIsSummedUpAndWrittenOnce(t *testing.T) {
	b := applied(bindingOf("us", "eu"), now)
	b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{
		report("eu", `{"replicas":1,"readyReplicas":1,"availableReplicas":1,"updatedReplicas":1,"generation":1,"observedGeneration":1,"resourceTemplateGeneration":1}`),
		report("us", `{"replicas":1,"readyReplicas":1,"availableReplicas":1,"updatedReplicas":1,"generation":1,"observedGeneration":1,"resourceTemplateGeneration":1}`),
	}
	w := newWorld(b)
	w.run(t)
	ready, _, err := unstructured.NestedInt64(w.template.Object, "status", "readyReplicas")
	require.NoError(t, err)
	assert.Equal(t, int64(2), ready)
	assert.Equal(t, []string{
		"Normal SyncSucceed web: applied to clusters eu, us",
		"Normal AggregateStatusSucceed web: status collected from clusters eu, us",
	}, w.said)

	w.run(t)
	assert.Equal(t, 1, w.writes, "nothing differs, so nothing is written")
}

func TestClustersThatHaveNotReportedAreCounted(t *testing.T) {
	b := bindingOf("us", "eu", "ap")
	b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{report("us", `{}`), report("eu", `{}`)}
	var got []string
	for _, item := range itemsOf(b) {
		got = append(got, item.ClusterName)
	}
	assert.Equal(t, []string{"ap", "eu", "us"}, got)
	assert.Len(t, b.Status.AggregatedStatus, 2, "a cached binding is not written to")
}

func TestWhatIsSaid(t *testing.T) {
	failing := func(message string) workv1alpha2.AggregatedStatusItem {
		return workv1alpha2.AggregatedStatusItem{ClusterName: "us", AppliedMessage: message}
	}
	cases := map[string]struct {
		reason string
		b      *workv1alpha2.ResourceBinding
		items  []workv1alpha2.AggregatedStatusItem
		want   []string
	}{
		"Unreported": {"nothing is known", bindingOf("eu"), nil, nil},
		"Partly":     {"success is told once, when it is complete", bindingOf("eu", "us"), []workv1alpha2.AggregatedStatusItem{report("eu", `{}`), failing("")}, nil},
		"Failed": {"folded, sorted, with each cluster's reason", bindingOf("eu", "us"),
			[]workv1alpha2.AggregatedStatusItem{failing("quota"), {ClusterName: "eu", AppliedMessage: "denied"}},
			[]string{"Warning SyncFailed web: cluster eu: denied; cluster us: quota"}},
		"LongAgo": {"after a restart an old success is no news", applied(bindingOf("eu"), now.Add(-2*recently)),
			[]workv1alpha2.AggregatedStatusItem{report("eu", `{}`)}, nil},
		"Nowhere": {"applied to no cluster is no success", applied(bindingOf(), now), nil, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.b.Status.AggregatedStatus = tc.items
			w := newWorld(tc.b)
			w.run(t)
			assert.Equal(t, tc.want, w.said, tc.reason)
		})
	}
}

func TestLeftAlone(t *testing.T) {
	cases := map[string]struct {
		reason string
		setUp  func(w *world)
	}{
		"NoBinding":        {"it is gone", func(w *world) { w.binding = nil }},
		"NoTemplate":       {"it is gone", func(w *world) { w.template = nil }},
		"OtherIncarnation": {"the reports are about another object", func(w *world) { w.template.SetUID("other") }},
		"Terminating":      {"on its way out", func(w *world) { w.template.SetDeletionTimestamp(&metav1.Time{Time: now}) }},
		"Unreported":       {"before the first report the status is nobody's", func(w *world) { w.binding = bindingOf("eu") }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := bindingOf("eu")
			b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{report("eu", `{"replicas":1,"readyReplicas":1}`)}
			w := newWorld(b)
			tc.setUp(w)
			w.run(t)
			assert.Zero(t, w.writes, tc.reason)
		})
	}
}

func TestWriteFailures(t *testing.T) {
	b := bindingOf("eu")
	b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{report("eu", `{"replicas":1,"readyReplicas":1}`)}

	w := newWorld(b)
	w.writeErr = apierrors.NewConflict(schema.GroupResource{}, "web", nil)
	assert.Equal(t, retryConflict, w.run(t).RequeueAfter)
	assert.Empty(t, w.said, "a conflict is no event")

	w.writeErr = errors.New("no")
	_, err := w.Reconcile(t.Context(), reconcile.Request{})
	require.ErrorIs(t, err, w.writeErr)
	assert.Contains(t, w.said[0], "Warning AggregateStatusFailed")
}

// errNotThere is what the router answers for a version that is not served.
var errNotThere = apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{}, "", "404 page not found", 0, true)

// Agents do not repeat what they have said while a kind is on its way to another
// version.
func TestReportsOutlastTheMoveOfAKind(t *testing.T) {
	for name, moving := range map[string]error{
		"NotKnown": fmt.Errorf("getting template: %w", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}}),
		"NotThere": errNotThere,
	} {
		t.Run(name, func(t *testing.T) {
			b := bindingOf("eu")
			b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{report("eu", `{"replicas":1,"readyReplicas":1}`)}
			w := newWorld(b)
			read := w.Template
			w.Template = func(context.Context, templates.Key) (*unstructured.Unstructured, error) { return nil, moving }
			require.Equal(t, retryNotServed, w.run(t).RequeueAfter, "nothing else tells that the kind is there again")

			w.Template, w.writeErr = read, moving
			require.Equal(t, retryNotServed, w.run(t).RequeueAfter, "it went between the read and the write")
			require.Empty(t, w.said, "no failure")

			w.writeErr = nil
			require.Zero(t, w.run(t))
			ready, _, err := unstructured.NestedInt64(w.template.Object, "status", "readyReplicas")
			require.NoError(t, err)
			require.Equal(t, int64(1), ready)

			w.binding = nil
			w.Template = func(context.Context, templates.Key) (*unstructured.Unstructured, error) { return nil, moving }
			require.Zero(t, w.run(t), "nobody asks any more")
		})
	}
}

func TestReportsThatCannotBeReadAreNamed(t *testing.T) {
	b := applied(bindingOf("eu", "us"), now)
	b.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{
		report("eu", `{"replicas":1,"readyReplicas":1}`), report("us", `{"replicas":"many"}`),
	}
	w := newWorld(b)
	w.run(t)
	assert.Equal(t, 1, w.writes, "the others count")
	require.Len(t, w.said, 2)
	assert.Contains(t, w.said[1], "Warning AggregateStatusFailed")
	assert.Contains(t, w.said[1], "us")
}

func TestNewsForTemplate(t *testing.T) {
	base := applied(bindingOf("eu"), now)
	base.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{report("eu", `{"a":1}`)}
	cases := map[string]struct {
		reason string
		change func(b *workv1alpha2.ResourceBinding)
		want   bool
	}{
		"Nothing":   {"a resync", func(*workv1alpha2.ResourceBinding) {}, false},
		"Placement": {"not about clusters", func(b *workv1alpha2.ResourceBinding) { b.Spec.Replicas = 9 }, false},
		"Scheduled": {"another condition", func(b *workv1alpha2.ResourceBinding) {
			b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: workv1alpha2.Scheduled})
		}, false},
		"Report": {"a report", func(b *workv1alpha2.ResourceBinding) { b.Status.AggregatedStatus[0].Status.Raw = []byte(`{"a":2}`) }, true},
		"Clusters": {"more reports are due", func(b *workv1alpha2.ResourceBinding) {
			b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: "us"})
		}, true},
		"Applied":  {"an event is due", func(b *workv1alpha2.ResourceBinding) { b.Status.Conditions[0].Status = metav1.ConditionFalse }, true},
		"Template": {"the binding has followed a new template", func(b *workv1alpha2.ResourceBinding) { b.Spec.Resource.UID = "other" }, true},
		"Version":  {"the kind has moved, the status could not be written meanwhile", func(b *workv1alpha2.ResourceBinding) { b.Spec.Resource.APIVersion = "apps/v2" }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			changed := base.DeepCopy()
			tc.change(changed)
			assert.Equal(t, tc.want, newsForTemplate.Update(event.UpdateEvent{ObjectOld: base, ObjectNew: changed}), tc.reason)
		})
	}
	assert.True(t, newsForTemplate.Create(event.CreateEvent{Object: base}))
	assert.False(t, newsForTemplate.Create(event.CreateEvent{Object: bindingOf("eu")}))
}

func templateClientOver(t *testing.T, react func() error) (*templateClient, *int) {
	t.Helper()
	client := fake.NewSimpleDynamicClient(runtime.NewScheme(), deployment())
	patches := 0
	client.PrependReactor("patch", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) {
		patches++
		return true, deployment(), react()
	})
	return &templateClient{
		dynamic: client,
		mapping: func(gk schema.GroupKind) (*meta.RESTMapping, error) {
			return &meta.RESTMapping{
				Resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, Scope: meta.RESTScopeNamespace,
			}, nil
		},
		now: func() time.Time { return now },
	}, &patches
}

func TestKindsWithoutStatusAreLeftAlone(t *testing.T) {
	key := templates.Key{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "default", Name: "web"}
	to := deployment()
	require.NoError(t, unstructured.SetNestedField(to.Object, int64(1), "status", "replicas"))

	c, patches := templateClientOver(t, func() error { return errNotThere })
	require.NoError(t, c.writeStatus(t.Context(), key, deployment(), to))
	require.NoError(t, c.writeStatus(t.Context(), key, deployment(), to))
	assert.Equal(t, 1, *patches, "not tried again for a while")
	c.now = func() time.Time { return now.Add(noStatusFor) }
	require.NoError(t, c.writeStatus(t.Context(), key, deployment(), to))
	assert.Equal(t, 2, *patches, "another API server can have the subresource")

	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "deployments"}, "web")
	c, patches = templateClientOver(t, func() error { return gone })
	require.ErrorIs(t, c.writeStatus(t.Context(), key, deployment(), to), gone)
	require.ErrorIs(t, c.writeStatus(t.Context(), key, deployment(), to), gone)
	assert.Equal(t, 2, *patches, "an object that is gone says nothing about its kind")

	answer := error(errNotThere)
	c, patches = templateClientOver(t, func() error { return answer })
	c.dynamic.(*fake.FakeDynamicClient).PrependReactor("get", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, deployment(), answer
	})
	err := c.writeStatus(t.Context(), key, deployment(), to)
	require.True(t, notServed(err), "the version is gone, so the reports are still to be written: %v", err)
	answer = nil
	require.NoError(t, c.writeStatus(t.Context(), key, deployment(), to))
	assert.Equal(t, 2, *patches, "a version that is gone says nothing about the subresource")
}

func TestStatusPatch(t *testing.T) {
	none, err := statusPatch(deployment(), deployment())
	require.NoError(t, err)
	assert.Nil(t, none)

	from, to := deployment(), deployment()
	from.Object["status"] = map[string]any{"replicas": int64(1), "old": "x"}
	to.Object["status"] = map[string]any{"replicas": int64(2)}
	patch, err := statusPatch(from, to)
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"uid":"uid","resourceVersion":"7"},"status":{"replicas":2,"old":null}}`, string(patch))
}

// Applying the patch as the API server does must give the wanted status.
func TestStatusPatchGivesTheWantedStatus(t *testing.T) {
	field := rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.Int64Range(0, 3))
	draw := func(t *rapid.T, label string) *unstructured.Unstructured {
		obj, status := deployment(), map[string]any{}
		for k, v := range field.Draw(t, label) {
			status[k] = v
		}
		obj.Object["status"] = status
		return obj
	}
	rapid.Check(t, func(t *rapid.T) {
		from, to := draw(t, "from"), draw(t, "to")
		patch, err := statusPatch(from, to)
		if err != nil {
			t.Fatal(err)
		}
		got := from.Object["status"].(map[string]any)
		if patch != nil {
			var p struct{ Status map[string]*int64 }
			if err := json.Unmarshal(patch, &p); err != nil {
				t.Fatal(err)
			}
			for k, v := range p.Status {
				delete(got, k)
				if v != nil {
					got[k] = *v
				}
			}
		}
		if !assert.ObjectsAreEqual(to.Object["status"], got) {
			t.Fatalf("got %v, want %v", got, to.Object["status"])
		}
	})
}
