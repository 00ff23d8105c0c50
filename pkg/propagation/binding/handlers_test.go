package binding

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

func TestWhichChangesMatter(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(m *templates.Metadata)
		from   func(m *templates.Metadata)
		want   bool
	}{
		"Status":     {reason: "a status write moves the resource version only", change: func(m *templates.Metadata) { m.ResourceVersion = "2" }},
		"Spec":       {reason: "replicas may differ", change: func(m *templates.Metadata) { m.Generation = 2 }, want: true},
		"Label":      {reason: "the claim may differ", change: func(m *templates.Metadata) { m.Labels = map[string]string{"a": "b"} }, want: true},
		"Annotation": {reason: "the claim may differ", change: func(m *templates.Metadata) { m.Annotations = map[string]string{"a": "b"} }, want: true},
		"Anew":       {reason: "the binding has to follow", change: func(m *templates.Metadata) { m.UID = "2" }, want: true},
		"Deletion":   {reason: "it is on its way out", change: func(m *templates.Metadata) { m.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }, want: true},
		"NoGeneration": {reason: "kinds that count no generations show changes by the resource version only",
			from: func(m *templates.Metadata) { m.Generation = 0 }, change: func(m *templates.Metadata) { m.Generation = 0; m.ResourceVersion = "2" }, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			old := &templates.Metadata{ObjectMeta: metav1.ObjectMeta{UID: "1", ResourceVersion: "1", Generation: 1}}
			if tc.from != nil {
				tc.from(old)
			}
			now := old.DeepCopy()
			tc.change(now)
			assert.Equal(t, tc.want, matters(old, now), tc.reason)
		})
	}
}

func TestBindingEvents(t *testing.T) {
	fresh := func() *workv1alpha2.ResourceBinding {
		b := &workv1alpha2.ResourceBinding{}
		b.CreationTimestamp = metav1.Now()
		b.Spec.Resource = workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "web", UID: "u"}
		return b
	}
	scheduled := func(clusters ...string) *workv1alpha2.ResourceBinding {
		b := fresh()
		for _, c := range clusters {
			b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c, Replicas: 1})
		}
		return b
	}
	old := scheduled("eu")
	old.CreationTimestamp = metav1.NewTime(time.Now().Add(-2 * recently))
	rescaled := scheduled("us", "eu")
	rescaled.Spec.Clusters[0].Replicas = 9
	statusOnly := scheduled("eu", "us")
	statusOnly.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{{ClusterName: "eu"}}

	cases := map[string]struct {
		reason   string
		from, to *workv1alpha2.ResourceBinding // from nil: created; to nil: deleted
		said     []string
		queued   int
	}{
		"Created":    {"no clusters yet", nil, fresh(), nil, 1},
		"Scheduled":  {"sorted by name", fresh(), scheduled("us", "ap", "eu"), []string{"works for clusters ap, eu, us are served"}, 1},
		"Rescaled":   {"the same clusters are no news", scheduled("eu", "us"), rescaled, nil, 1},
		"Status":     {"statuses are somebody else's matter", scheduled("eu", "us"), statusOnly, nil, 0},
		"Emptied":    {"nothing is served", scheduled("eu"), fresh(), nil, 1},
		"Deleted":    {"somebody deleted it; it has to come back", fresh(), nil, nil, 1},
		"Restart":    {"said again after a restart; the API server still has it", nil, scheduled("eu"), []string{"works for clusters eu are served"}, 1},
		"OldRestart": {"the API server has forgotten it, and it is no news", nil, old, nil, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var said []string
			h := fromBindings(events.Func(func(_ context.Context, about corev1.ObjectReference, _, reason, note string) {
				assert.Equal(t, "SyncWorkSucceed", reason)
				assert.Equal(t, "web", about.Name)
				said = append(said, note)
			}))
			q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[templates.Key]())
			defer q.ShutDown()
			switch {
			case tc.from == nil:
				h.Create(t.Context(), event.TypedCreateEvent[client.Object]{Object: tc.to}, q)
			case tc.to == nil:
				h.Delete(t.Context(), event.TypedDeleteEvent[client.Object]{Object: tc.from}, q)
			default:
				h.Update(t.Context(), event.TypedUpdateEvent[client.Object]{ObjectOld: tc.from, ObjectNew: tc.to}, q)
			}
			assert.Equal(t, tc.said, said, tc.reason)
			assert.Equal(t, tc.queued, q.Len(), tc.reason)
		})
	}
}
