package mesh

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	// atOnce is how many nodes are looked at in one look.
	atOnce = 200
	// markedFor is how long it is taken for granted that nodes have the marks that they
	// were given.
	markedFor = 5 * time.Minute
	// aloneFor is how long a node that was looked at is let be, and cloudFor is how long
	// one is whose cloud has not said where it is by cloudAfter.
	aloneFor   = time.Minute
	cloudAfter = 10 * time.Minute
	cloudFor   = time.Hour
	// maxRegions bounds what is reported. It is remembered for regionsFor, and that there
	// is none for noRegionFor.
	maxRegions              = 16
	regionsFor, noRegionFor = 2 * time.Minute, 30 * time.Second
)

// nodesSeen is what nodes say about where they are.
type nodesSeen struct {
	generation int64
	regions    []string
	// left is true when no node has a locality that was written here.
	left    bool
	located trouble
}

// nodesTask gives nodes a locality that have none, and takes it back.
type nodesTask struct {
	worker *worker
	bare   nodeWatch[bareNode]
	alone  map[types.UID]letBe
	// marks is what all marked nodes are marked with, if there are any, until that is
	// looked at again; nil when that is not known.
	marks *marks

	regions      []string
	regionsUntil time.Time
}

// letBe is until when a node is not looked at again. Cloud is true when its cloud has not
// said where it is, though it had the time.
type letBe struct {
	until time.Time
	cloud bool
}

// marks are with what nodes are marked.
type marks struct {
	value string
	until time.Time
}

func newNodesTask(w *worker) *nodesTask {
	// One that has a region now is not of interest any more.
	return &nodesTask{worker: w, bare: nodeWatch[bareNode]{ring: w.wakeNodes, silent: true, keep: bare}, alone: map[types.UID]letBe{}}
}

// bareNode is a node without a region.
type bareNode struct {
	name    string
	uid     types.UID
	created time.Time
}

func bare(obj any) (string, bareNode, bool) {
	node, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return "", bareNode{}, false
	}
	return node.Name, bareNode{name: node.Name, uid: node.UID, created: node.CreationTimestamp.Time}, true
}

// withoutRegion selects nodes that have none.
const withoutRegion = "!" + corev1.LabelTopologyRegion

// watch follows nodes without a region.
func (t *nodesTask) watch(ctx context.Context) {
	resource := t.worker.agent.Metadata.Resource(nodeResource)
	t.bare.start(ctx, "nodes without a region", withoutRegion, nodeSource{
		list: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, options)
		},
		watch: resource.Watch,
		of:    &metav1.PartialObjectMetadata{},
	})
}

// close ends the watch.
func (t *nodesTask) close() { t.bare.close() }

func (t *nodesTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := &nodesSeen{generation: object.Generation}
	more, err := t.mark(ctx, object, next)
	if err != nil {
		next.located = troubled("NotWritten", "cannot set the locality of nodes of cluster %s; the agent needs to get, list, watch and patch nodes (agent.mesh.localities of the chart), or unset spec.region of the Cluster: %v", t.worker.agent.Cluster, err)
	}
	missing := more || err != nil
	if !object.Spec.Leaving {
		if err := t.readRegions(ctx); err != nil && next.located == (trouble{}) {
			next.located, missing = troubled("NotReadable", "cannot list nodes of cluster %s: %v", t.worker.agent.Cluster, err), true
		}
		if next.regions = t.regions; t.regions == nil {
			next.regions = object.Status.Regions // as the agent before has reported them
		}
	}
	if ctx.Err() != nil {
		return outcome{}
	}
	return outcome{missing: missing, news: t.worker.saw(func(s *seen) { s.nodes = next })}
}

// mark makes the localities of nodes what they are to be. More says that there are more
// nodes to write.
func (t *nodesTask) mark(ctx context.Context, object *meshv1alpha1.MeshMember, next *nodesSeen) (more bool, err error) {
	a := t.worker.agent
	if a.NoLocalities {
		next.left = true
		return false, nil
	}
	a.locating.Lock()
	defer a.locating.Unlock()
	holder := a.holder()
	var want *meshv1alpha1.MemberLocality
	if holder != nil {
		if holder.Name != object.Name {
			t.close()
			t.marks = nil
			next.left = true // they are the other mesh's now
			return false, nil
		}
		want = holder.Spec.Locality
	}
	if want == nil || want.Region == "" {
		t.close()
		more, err = t.remark(ctx, nil)
		next.left = err == nil && !more
		return more, err
	}
	t.watch(ctx)
	if more, err = t.dress(ctx, want); more || err != nil {
		return more, err
	}
	t.complain(next)
	return t.remark(ctx, want)
}

// dress gives a locality to nodes that have none.
func (t *nodesTask) dress(ctx context.Context, want *meshv1alpha1.MemberLocality) (more bool, err error) {
	now := t.worker.now()
	nodes, synced := t.bare.all()
	if !synced {
		// The watch says nothing of what is wrong with it.
		list, err := t.list(ctx, metav1.ListOptions{LabelSelector: withoutRegion, Limit: atOnce})
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			nodes = append(nodes, bareNode{name: list.Items[i].Name, uid: list.Items[i].UID, created: list.Items[i].CreationTimestamp.Time})
		}
		more = list.Continue != ""
	}
	there := map[types.UID]bool{}
	for _, node := range nodes {
		there[node.uid] = true
	}
	nodes = slices.DeleteFunc(nodes, func(n bareNode) bool { return now.Before(t.alone[n.uid].until) })
	slices.SortFunc(nodes, func(a, b bareNode) int { return cmp.Or(a.created.Compare(b.created), strings.Compare(a.name, b.name)) })
	if len(nodes) > atOnce {
		nodes, more = nodes[:atOnce], true
	}
	for uid, alone := range t.alone {
		if !there[uid] && !now.Before(alone.until) {
			delete(t.alone, uid)
		}
	}
	for _, node := range nodes {
		acted, err := t.write(ctx, node.name, want)
		if err != nil {
			return true, err
		}
		alone := letBe{until: now.Add(aloneFor)}
		switch {
		case acted:
			t.regionsUntil = time.Time{}
		case now.Sub(node.created) >= cloudAfter:
			alone = letBe{until: now.Add(cloudFor), cloud: true}
		}
		t.alone[node.uid] = alone
	}
	return more, nil
}

// complain says which nodes are left to a cloud that does not say where they are.
func (t *nodesTask) complain(next *nodesSeen) {
	nodes, _ := t.bare.all()
	var left []string
	for _, node := range nodes {
		if t.alone[node.uid].cloud {
			left = append(left, node.name)
		}
	}
	if len(left) == 0 {
		return
	}
	slices.Sort(left)
	next.located = troubled("LeftToCloud", "%d nodes of cluster %s have no region, %s among them. They belong to a cloud (spec.providerID), which is to set it; if it does not, set the label %s on them", len(left), t.worker.agent.Cluster, left[0], corev1.LabelTopologyRegion)
}

// remark makes marks of nodes what they are to be; without want they go.
func (t *nodesTask) remark(ctx context.Context, want *meshv1alpha1.MemberLocality) (more bool, err error) {
	now, selector, value := t.worker.now(), localityLabel, ""
	if want != nil {
		value = mark(want)
		selector += "," + localityLabel + "!=" + value
	}
	if t.marks != nil && t.marks.value == value && now.Before(t.marks.until) {
		return false, nil
	}
	t.marks = nil
	options := metav1.ListOptions{LabelSelector: selector, Limit: atOnce}
	for {
		list, err := t.list(ctx, options)
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			acted, err := t.write(ctx, list.Items[i].Name, want)
			if err != nil {
				return true, err
			}
			more = more || acted
		}
		// Nodes that are marked, and not by us, stay on the list.
		if options.Continue = list.Continue; more || options.Continue == "" {
			break
		}
	}
	if more && options.Continue != "" {
		return true, nil
	}
	t.marks = &marks{value: value, until: now.Add(markedFor)}
	return false, nil
}

// write sets the locality of one node, if that is for us to say. What somebody else has set
// stays: only a zone that the node has, or a region that it got just now.
func (t *nodesTask) write(ctx context.Context, name string, want *meshv1alpha1.MemberLocality) (acted bool, err error) {
	node, err := t.worker.agent.member.node(ctx, name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	labels, ours := locate(node, want)
	if !ours {
		return false, nil
	}
	apply := func(labels map[string]string) error {
		return t.worker.agent.member.apply(ctx, "nodes", "Node", node.Name, node.UID, labels)
	}
	err = apply(labels)
	if heldByOthers(err) && labels[corev1.LabelTopologyZone] != "" {
		delete(labels, corev1.LabelTopologyZone)
		err = apply(labels)
	}
	if heldByOthers(err) {
		err = apply(nil)
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && !heldByOthers(err) {
		return false, nil // it is gone, or another has come in its place, which is seen
	}
	return err == nil, err
}

func (t *nodesTask) list(ctx context.Context, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return t.worker.agent.Metadata.Resource(nodeResource).List(ctx, options)
}

var nodeResource = corev1.SchemeGroupVersion.WithResource("nodes")

// readRegions asks for one node of each region that is not known yet, which is little
// however many nodes there are.
func (t *nodesTask) readRegions(ctx context.Context) error {
	now := t.worker.now()
	if now.Before(t.regionsUntil) {
		return nil
	}
	regions := []string{}
	for len(regions) < maxRegions {
		selector := corev1.LabelTopologyRegion
		if len(regions) > 0 {
			selector += "," + corev1.LabelTopologyRegion + " notin (" + strings.Join(regions, ",") + ")"
		}
		list, err := t.list(ctx, metav1.ListOptions{LabelSelector: selector, Limit: 1})
		if err != nil {
			return err
		}
		if len(list.Items) == 0 {
			break
		}
		region := list.Items[0].Labels[corev1.LabelTopologyRegion]
		if slices.Contains(regions, region) {
			break // nodes without a value, or a server that does not select
		}
		regions = append(regions, region)
	}
	regions = slices.DeleteFunc(regions, func(r string) bool { return r == "" })
	slices.Sort(regions)
	t.regions, t.regionsUntil = regions, now.Add(regionsFor)
	if len(regions) == 0 {
		t.regionsUntil = now.Add(noRegionFor)
	}
	return nil
}
