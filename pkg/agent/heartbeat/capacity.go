package heartbeat

import (
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	helpers "k8s.io/component-helpers/resource"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Capacity sums up nodes and pods. It keeps a few numbers of each, not the objects.
type Capacity struct {
	// OnChange is called when a sum may have changed. Set it before the first event.
	OnChange func()

	mu    sync.Mutex
	nodes map[string]node
	pods  map[string]pod
	// sums of pods, kept as they come and go.
	allocated, allocating amounts
	nodesSeen, podsSeen   bool
}

// amounts are resources in their smallest unit: thousandths of a CPU, bytes, pieces.
type amounts map[corev1.ResourceName]int64

func (a amounts) add(other amounts, sign int64) {
	for name, n := range other {
		a[name] += sign * n
		if a[name] == 0 {
			delete(a, name)
		}
	}
}

func (a amounts) list() corev1.ResourceList {
	out := make(corev1.ResourceList, len(a))
	for name, n := range a {
		switch name {
		case corev1.ResourceCPU:
			out[name] = *resource.NewMilliQuantity(n, resource.DecimalSI)
		case corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourceStorage:
			out[name] = *resource.NewQuantity(n, resource.BinarySI)
		default:
			out[name] = *resource.NewQuantity(n, resource.DecimalSI)
		}
	}
	return out
}

func amountsOf(list corev1.ResourceList) amounts {
	out := make(amounts, len(list)+1)
	for name, quantity := range list {
		n := quantity.Value()
		if name == corev1.ResourceCPU {
			n = quantity.MilliValue()
		}
		if n != 0 {
			out[name] = n
		}
	}
	return out
}

// nodeShare and podShare stand in for objects in the reflectors' stores, hence the ObjectMeta.
type nodeShare struct {
	metav1.ObjectMeta
	node
}

type podShare struct {
	metav1.ObjectMeta
	pod
}

type node struct {
	allocatable amounts
	ready       bool
}

type pod struct {
	requests amounts
	placed   bool
}

// NewCapacity returns a Capacity without nodes and pods.
func NewCapacity() *Capacity {
	return &Capacity{OnChange: func() {}, nodes: map[string]node{}, pods: map[string]pod{}, allocated: amounts{}, allocating: amounts{}}
}

// Summary is nil until all nodes and pods were seen.
func (c *Capacity) Summary() (*clusterv1alpha1.NodeSummary, *clusterv1alpha1.ResourceSummary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.nodesSeen || !c.podsSeen {
		return nil, nil
	}
	nodes := &clusterv1alpha1.NodeSummary{TotalNum: int32(len(c.nodes))}
	allocatable := amounts{}
	for _, node := range c.nodes {
		allocatable.add(node.allocatable, 1)
		if node.ready {
			nodes.ReadyNum++
		}
	}
	return nodes, &clusterv1alpha1.ResourceSummary{
		Allocatable: allocatable.list(), Allocated: c.allocated.list(), Allocating: c.allocating.list(),
	}
}

func reduceNode(obj any) (any, error) {
	full, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	out := &nodeShare{ObjectMeta: metav1.ObjectMeta{Name: full.Name}, node: node{allocatable: amountsOf(full.Status.Allocatable)}}
	for _, condition := range full.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			out.ready = condition.Status == corev1.ConditionTrue
		}
	}
	return out, nil
}

func reducePod(obj any) (any, error) {
	full, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	out := &podShare{ObjectMeta: metav1.ObjectMeta{Namespace: full.Namespace, Name: full.Name}}
	out.requests = amountsOf(helpers.PodRequests(full, helpers.PodResourcesOptions{}))
	out.requests[corev1.ResourcePods] = 1
	out.placed = full.Spec.NodeName != ""
	return out, nil
}

func (c *Capacity) putNode(obj any) {
	share, ok := obj.(*nodeShare)
	if !ok {
		return
	}
	c.mu.Lock()
	old, had := c.nodes[share.Name]
	c.nodes[share.Name] = share.node
	c.mu.Unlock()
	if !had || old.ready != share.ready || !maps.Equal(old.allocatable, share.allocatable) {
		c.OnChange()
	}
}

func (c *Capacity) dropNode(name string) {
	c.mu.Lock()
	delete(c.nodes, name)
	c.mu.Unlock()
	c.OnChange()
}

func (c *Capacity) putPod(obj any) {
	share, ok := obj.(*podShare)
	if !ok {
		return
	}
	key := share.Namespace + "/" + share.Name
	c.mu.Lock()
	old, had := c.pods[key]
	same := had && old.placed == share.placed && maps.Equal(old.requests, share.requests)
	if !same {
		c.sum(old, -1)
		c.sum(share.pod, 1)
		c.pods[key] = share.pod
	}
	c.mu.Unlock()
	if !same {
		c.OnChange()
	}
}

func (c *Capacity) dropPod(key string) {
	c.mu.Lock()
	old, had := c.pods[key]
	c.sum(old, -1)
	delete(c.pods, key)
	c.mu.Unlock()
	if had {
		c.OnChange()
	}
}

func (c *Capacity) sum(p pod, sign int64) {
	if p.placed {
		c.allocated.add(p.requests, sign)
	} else {
		c.allocating.add(p.requests, sign)
	}
}

// Nodes is the store for a reflector of nodes.
func (c *Capacity) Nodes() cache.ReflectorStore {
	return &reducingStore{
		reduce: reduceNode, put: c.putNode, drop: c.dropNode,
		reset: func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.nodes = map[string]node{}
		},
		done: func() { c.seen(&c.nodesSeen) },
	}
}

// Pods is the store for a reflector of pods.
func (c *Capacity) Pods() cache.ReflectorStore {
	return &reducingStore{
		reduce: reducePod, put: c.putPod, drop: c.dropPod,
		reset: func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.pods, c.allocated, c.allocating = map[string]pod{}, amounts{}, amounts{}
		},
		done: func() { c.seen(&c.podsSeen) },
	}
}

func (c *Capacity) seen(what *bool) {
	c.mu.Lock()
	*what = true
	c.mu.Unlock()
	c.OnChange()
}
