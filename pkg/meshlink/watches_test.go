package meshlink

import (
	"context"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// asked notes what it is asked for.
type asked struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	meshes []string
}

func (a *asked) Add(r reconcile.Request)                       { a.meshes = append(a.meshes, r.Name) }
func (a *asked) AddAfter(r reconcile.Request, _ time.Duration) { a.Add(r) }

func TestWhatHasMeshesLookedAt(t *testing.T) {
	w := &watches{meshes: func(context.Context) ([]*meshv1alpha1.Mesh, error) {
		return []*meshv1alpha1.Mesh{
			{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}},
			{ObjectMeta: metav1.ObjectMeta{Name: "mesh2"}, Spec: meshv1alpha1.MeshSpec{Links: meshv1alpha1.LinksPlacement}},
		}, nil
	}}
	w.placement.Store(true)
	both := []string{"mesh1", "mesh2"}
	cluster := func(change func(*clusterv1alpha1.Cluster)) *clusterv1alpha1.Cluster {
		c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}}
		if change != nil {
			change(c)
		}
		return c
	}
	mesh := func(change func(*meshv1alpha1.Mesh)) *meshv1alpha1.Mesh {
		m := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1", Generation: 1}}
		if change != nil {
			change(m)
		}
		return m
	}
	labelled := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{meshv1alpha1.MeshLabel: "mesh1"}}}
	member := &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Name: "mesh2"}}
	cases := map[string]struct {
		reason   string
		handler  handler.EventHandler
		old, now client.Object // neither nil: an update
		want     []string
	}{
		"MeshNew":       {reason: "It competes with all others.", handler: w.ofMeshes(), now: mesh(nil), want: both},
		"MeshChanged":   {reason: "It competes with all others.", handler: w.ofMeshes(), old: mesh(nil), now: mesh(func(m *meshv1alpha1.Mesh) { m.Generation = 2 }), want: both},
		"MeshDeleting":  {reason: "Its clusters are free soon.", handler: w.ofMeshes(), old: mesh(nil), now: mesh(func(m *meshv1alpha1.Mesh) { m.DeletionTimestamp = &metav1.Time{Time: noon} }), want: both},
		"MeshStatus":    {reason: "It is our own.", handler: w.ofMeshes(), old: mesh(nil), now: mesh(func(m *meshv1alpha1.Mesh) { m.Status.ObservedGeneration = 1 })},
		"MeshGone":      {reason: "What is known of it is forgotten.", handler: w.ofMeshes(), old: mesh(nil), want: both},
		"Member":        {reason: "Its agent has reported.", handler: w.ofMembers(), old: member, now: member, want: []string{"mesh2"}},
		"MemberNew":     {reason: "It was written.", handler: w.ofMembers(), now: member, want: []string{"mesh2"}},
		"MemberGone":    {reason: "Another Mesh may wait for the cluster.", handler: w.ofMembers(), old: member, want: both},
		"Work":          {reason: "It was applied, or not.", handler: ofWorks(), old: labelled, now: labelled, want: []string{"mesh1"}},
		"WorkNew":       {reason: "It was written.", handler: ofWorks(), now: labelled, want: []string{"mesh1"}},
		"WorkGone":      {reason: "Somebody has deleted it.", handler: ofWorks(), old: labelled, want: []string{"mesh1"}},
		"WorkOfOthers":  {reason: "It is of no Mesh.", handler: ofWorks(), now: &workv1alpha1.Work{}},
		"Cluster":       {reason: "It may be selected.", handler: w.ofClusters(), now: cluster(nil), want: both},
		"ClusterGone":   {reason: "Its peers are to let go of it.", handler: w.ofClusters(), old: cluster(nil), want: both},
		"ClusterGoes":   {reason: "Its peers are to let go of it.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) { c.DeletionTimestamp = &metav1.Time{Time: noon} }), want: both},
		"ClusterLabels": {reason: "Affinities look at them.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) { c.Labels = map[string]string{"a": "b"} }), want: both},
		"ClusterRegion": {reason: "Failover goes by it.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "europe" }), want: both},
		"ClusterJoined": {reason: "Its namespace is there now.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) { c.Finalizers = []string{"x"} }), want: both},
		"ClusterLost": {reason: "It may have to be withdrawn.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) {
			c.Status.Conditions = []metav1.Condition{{Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionUnknown}}
		}), want: both},
		"ClusterHolds": {reason: "Somebody may wait for what its agent does not delete.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) {
			c.Status.Conditions = []metav1.Condition{{Type: names.ConditionDeletionsHeld, Status: metav1.ConditionTrue, Message: "the command"}}
		}), want: both},
		"ClusterNodes": {reason: "They are counted all the time.", handler: w.ofClusters(), old: cluster(nil), now: cluster(func(c *clusterv1alpha1.Cluster) {
			c.Status.NodeSummary = &clusterv1alpha1.NodeSummary{TotalNum: 3}
		})},
		"Placed":     {reason: "Links may follow.", handler: w.ofBindings(), now: bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"eu": 1}), want: []string{"mesh2"}},
		"PlacedGone": {reason: "Links may follow.", handler: w.ofBindings(), old: bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"eu": 1}), want: []string{"mesh2"}},
		"PlacedMore": {reason: "The clusters are the same.", handler: w.ofBindings(), old: bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"eu": 1}), now: bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"eu": 2})},
		"PlacedElse": {reason: "Links may follow.", handler: w.ofBindings(), old: bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"eu": 1}), now: bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"eu": 1, "us": 1}), want: []string{"mesh2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := &asked{}
			switch {
			case tc.old == nil:
				tc.handler.Create(t.Context(), event.CreateEvent{Object: tc.now}, q)
			case tc.now == nil:
				tc.handler.Delete(t.Context(), event.DeleteEvent{Object: tc.old}, q)
			default:
				tc.handler.Update(t.Context(), event.UpdateEvent{ObjectOld: tc.old, ObjectNew: tc.now}, q)
			}
			slices.Sort(q.meshes)
			if got := slices.Compact(q.meshes); !slices.Equal(got, tc.want) {
				t.Errorf("%s Looked at: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

// TestBindingsCostNothing: while no Mesh asks for it nobody looks at bindings.
func TestBindingsCostNothing(t *testing.T) {
	w := &watches{meshes: func(context.Context) ([]*meshv1alpha1.Mesh, error) {
		t.Error("Meshes are listed")
		return nil, nil
	}}
	b := &workv1alpha2.ResourceBinding{Spec: workv1alpha2.ResourceBindingSpec{Clusters: []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 1}}}}
	w.ofBindings().Create(t.Context(), event.CreateEvent{Object: b}, &asked{})
	w.ofBindings().Delete(t.Context(), event.DeleteEvent{Object: b}, &asked{})
}
