package heartbeat

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func newPod(name, node, cpu string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("1Mi")},
		}}}},
	}
}

func newNode(name, ready string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("2Gi")},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionStatus(ready)}},
		},
	}
}

func TestCapacity(t *testing.T) {
	c := NewCapacity()
	changes := 0
	c.OnChange = func() { changes++ }
	nodes, pods := c.Nodes(), c.Pods()
	require.NoError(t, nodes.Replace([]any{newNode("a", "True"), newNode("b", "False")}, "1"))
	seen, _ := c.Summary()
	require.Nil(t, seen, "half of the picture is not reported")
	require.NoError(t, pods.Replace([]any{newPod("x", "a", "100m"), newPod("y", "", "1")}, "1"))

	summary, resources := c.Summary()
	require.Equal(t, clusterv1alpha1.NodeSummary{TotalNum: 2, ReadyNum: 1}, *summary)
	require.Equal(t, "3", resources.Allocatable.Cpu().String())
	require.Equal(t, "4Gi", resources.Allocatable.Memory().String())
	require.Equal(t, "100m", resources.Allocated.Cpu().String())
	require.Equal(t, "1", resources.Allocated.Pods().String())
	require.Equal(t, "1", resources.Allocating.Cpu().String())

	require.NoError(t, pods.Update(newPod("y", "a", "1")))
	_, resources = c.Summary()
	require.Equal(t, "1100m", resources.Allocated.Cpu().String(), "a pod that was placed moves over")
	require.Empty(t, resources.Allocating)

	before := changes
	placed := newPod("y", "a", "1")
	placed.Status.Phase = corev1.PodRunning
	require.NoError(t, pods.Update(placed))
	ready := newNode("a", "True")
	ready.ResourceVersion = "9"
	require.NoError(t, nodes.Update(ready))
	require.Equal(t, before, changes, "what does not change the sums is nothing")

	require.NoError(t, pods.Delete(newPod("x", "a", "100m")))
	require.NoError(t, pods.Delete(newPod("never", "a", "1")))
	require.NoError(t, nodes.Delete(newNode("b", "")))
	summary, resources = c.Summary()
	require.Equal(t, clusterv1alpha1.NodeSummary{TotalNum: 1, ReadyNum: 1}, *summary)
	require.Equal(t, "1", resources.Allocated.Cpu().String())
	require.NoError(t, pods.Replace(nil, "2"))
	_, resources = c.Summary()
	require.Empty(t, resources.Allocated)
}

// The running sums are those that counting anew gives.
func TestCapacityProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewCapacity()
		pods := c.Pods()
		live := map[string]*corev1.Pod{}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "pod")
			pod := newPod(name, rapid.SampledFrom([]string{"", "n"}).Draw(t, "node"), rapid.SampledFrom([]string{"0", "1m", "2"}).Draw(t, "cpu"))
			if rapid.Bool().Draw(t, "delete") {
				delete(live, name)
				_ = pods.Delete(pod)
			} else {
				live[name] = pod
				_ = pods.Add(pod)
			}
		}
		fresh := NewCapacity()
		all := []any{}
		for _, pod := range live {
			all = append(all, pod)
		}
		_ = fresh.Pods().Replace(all, "")
		for _, c := range []*Capacity{c, fresh} {
			_ = c.Nodes().Replace(nil, "")
			c.podsSeen = true
		}
		_, got := c.Summary()
		_, want := fresh.Summary()
		for _, pair := range [][2]corev1.ResourceList{{got.Allocated, want.Allocated}, {got.Allocating, want.Allocating}} {
			if len(pair[0]) != len(pair[1]) {
				t.Fatalf("%v instead of %v", pair[0], pair[1])
			}
			for name, n := range pair[0] {
				if m := pair[1][name]; n.Cmp(m) != 0 {
					t.Fatalf("%s: %s instead of %s", name, n.String(), m.String())
				}
			}
		}
	})
}

func TestMerge(t *testing.T) {
	old := clusterv1alpha1.ClusterStatus{
		KubernetesVersion: "v1", RemedyActions: []string{"x"},
		ResourceSummary: &clusterv1alpha1.ResourceSummary{AllocatableModelings: []clusterv1alpha1.AllocatableModeling{{Grade: 1, Count: 2}}},
		Conditions:      []metav1.Condition{{Type: "Theirs", Status: "True", Reason: "x"}, {Type: "Ours", Status: "True", Reason: "x"}},
	}
	same, differs := Merge(old, Observed{})
	require.False(t, differs, "what is not known changes nothing")
	require.Equal(t, old, same)
	next, differs := Merge(old, Observed{
		ResourceSummary: &clusterv1alpha1.ResourceSummary{Allocatable: corev1.ResourceList{}},
		Conditions:      map[string]metav1.Condition{"Ours": {}, "Ready": {Status: "True", Reason: "r"}},
	})
	require.True(t, differs)
	require.Equal(t, old.ResourceSummary.AllocatableModelings, next.ResourceSummary.AllocatableModelings)
	var types []string
	for _, condition := range next.Conditions {
		types = append(types, condition.Type)
	}
	require.Equal(t, []string{"Theirs", "Ready"}, types, "a condition with nothing to say goes, others' stay")
	_, differs = Merge(next, Observed{Conditions: map[string]metav1.Condition{"Ours": {}, "Ready": {Status: "True", Reason: "r"}}})
	require.False(t, differs)
}
