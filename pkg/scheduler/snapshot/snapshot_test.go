package snapshot

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func cluster(name string) *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "1"},
		Status: clusterv1alpha1.ClusterStatus{
			Conditions: []metav1.Condition{{Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionTrue}},
			APIEnablements: []clusterv1alpha1.APIEnablement{
				{GroupVersion: "v1", Resources: []clusterv1alpha1.APIResource{{Name: "services", Kind: "Service"}}},
			},
		},
	}
}

func TestSnapshot(t *testing.T) {
	s := New(cluster("us"), cluster("ap"))
	var got []string
	for _, c := range s.Clusters() {
		got = append(got, c.Name())
	}
	if diff := cmp.Diff([]string{"ap", "us"}, got); diff != "" {
		t.Errorf("clusters are ordered by name (-want +got):\n%s", diff)
	}
	if s.Len() != 2 || s.Get("us") == nil || s.Get("eu") != nil {
		t.Error("lookup by name")
	}
	service := schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	if !s.Get("us").Serves(service) {
		t.Error("the core group has no name and is served")
	}
	if s.Get("us").Serves(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Service"}) {
		t.Error("a kind of that name in another group is not served")
	}
	if s.Get("us").EnablementsComplete {
		t.Error("without the condition the list does not count as complete")
	}
}

func TestRelevant(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*clusterv1alpha1.Cluster)
		want   bool
	}{
		"Nothing":   {reason: "the same state", edit: func(*clusterv1alpha1.Cluster) {}},
		"Heartbeat": {reason: "a later heartbeat", edit: func(c *clusterv1alpha1.Cluster) { c.ResourceVersion = "9"; c.Status.KubernetesVersion = "v9" }},
		"ReadyMessage": {reason: "another text, the same status", edit: func(c *clusterv1alpha1.Cluster) {
			c.Status.Conditions[0].Message = "still well"
			c.Status.Conditions[0].LastTransitionTime = metav1.Now()
		}},
		"Resources": {reason: "capacity is not looked at yet", edit: func(c *clusterv1alpha1.Cluster) {
			c.Status.ResourceSummary = &clusterv1alpha1.ResourceSummary{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}}
		}},
		"NotReady": {reason: "not ready any more", edit: func(c *clusterv1alpha1.Cluster) { c.Status.Conditions[0].Status = metav1.ConditionFalse }, want: true},
		"Labels":   {reason: "selectors read labels", edit: func(c *clusterv1alpha1.Cluster) { c.Labels = map[string]string{"a": "b"} }, want: true},
		"Taint":    {reason: "a taint", edit: func(c *clusterv1alpha1.Cluster) { c.Spec.Taints = []corev1.Taint{{Key: "a"}} }, want: true},
		"Region":   {reason: "field selectors read it", edit: func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "west" }, want: true},
		"Provider": {reason: "field selectors read it", edit: func(c *clusterv1alpha1.Cluster) { c.Spec.Provider = "metal" }, want: true},
		"Zone":     {reason: "field selectors read it", edit: func(c *clusterv1alpha1.Cluster) { c.Spec.Zone = "a" }, want: true},
		"Zones":    {reason: "field selectors read it", edit: func(c *clusterv1alpha1.Cluster) { c.Spec.Zones = []string{"a"} }, want: true},
		"Enablement": {reason: "a new kind", edit: func(c *clusterv1alpha1.Cluster) {
			c.Status.APIEnablements = append(c.Status.APIEnablements, clusterv1alpha1.APIEnablement{GroupVersion: "apps/v1"})
		}, want: true},
		"EnablementResource": {reason: "a new kind in a group that was there", edit: func(c *clusterv1alpha1.Cluster) {
			c.Status.APIEnablements[0].Resources = append(c.Status.APIEnablements[0].Resources, clusterv1alpha1.APIResource{Kind: "Pod"})
		}, want: true},
		"Complete": {reason: "the list is complete now", edit: func(c *clusterv1alpha1.Cluster) {
			c.Status.Conditions = append(c.Status.Conditions, metav1.Condition{Type: clusterv1alpha1.ClusterConditionCompleteAPIEnablements, Status: metav1.ConditionTrue})
		}, want: true},
		"Deleting": {reason: "it is leaving", edit: func(c *clusterv1alpha1.Cluster) {
			now := metav1.Now()
			c.DeletionTimestamp = &now
		}, want: true},
		"Incarnation": {reason: "another cluster under the same name", edit: func(c *clusterv1alpha1.Cluster) { c.UID = "2" }, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			was := cluster("eu")
			is := was.DeepCopy()
			tc.edit(is)
			if got := Relevant(was, is); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
			if got := Relevant(is, was); got != tc.want {
				t.Errorf("%s, backwards: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestStore(t *testing.T) {
	ctx := context.Background()
	lists := 0
	clusters := []*clusterv1alpha1.Cluster{cluster("eu")}
	failure := errors.New("no cache")
	var fail error
	store := NewStore(func(context.Context) ([]*clusterv1alpha1.Cluster, error) {
		lists++
		return clusters, fail
	})
	first, err := store.Current(ctx)
	if err != nil || first.Len() != 1 {
		t.Fatalf("the first picture: %v, %v", first, err)
	}
	clusters = append(clusters, cluster("us"))
	if again, _ := store.Current(ctx); again != first || lists != 1 {
		t.Errorf("without a change the picture is the same, and nothing is listed (%d lists)", lists)
	}
	store.Invalidate()
	fail = failure
	if _, err := store.Current(ctx); !errors.Is(err, failure) {
		t.Errorf("a list that fails: got %v", err)
	}
	fail = nil
	second, err := store.Current(ctx)
	if err != nil || second.Len() != 2 {
		t.Errorf("after a change there is a new picture, even if the first try failed: %v, %v", second, err)
	}
	if first.Len() != 1 {
		t.Error("a picture never changes")
	}
}

// TestStoreConcurrently checks the promise that matters: whoever asks after an
// announced change sees it.
func TestStoreConcurrently(t *testing.T) {
	var mu sync.Mutex
	var clusters []*clusterv1alpha1.Cluster
	store := NewStore(func(context.Context) ([]*clusterv1alpha1.Cluster, error) {
		mu.Lock()
		defer mu.Unlock()
		return append([]*clusterv1alpha1.Cluster(nil), clusters...), nil
	})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				name := string(rune('a'+worker)) + "-" + string(rune('A'+i))
				mu.Lock()
				clusters = append(clusters, cluster(name))
				mu.Unlock()
				store.Invalidate()
				s, err := store.Current(context.Background())
				if err != nil || s.Get(name) == nil {
					t.Errorf("%s was announced and is not in the picture (%v)", name, err)
					return
				}
			}
		})
	}
	group.Wait()
}
