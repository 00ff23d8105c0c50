package mesh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	// localityLabel is on nodes whose locality was written here, so that it is found
	// again. Its value tells localities apart.
	localityLabel = "mesh.flotilla.io/locality"
	// atOnce is how many nodes are written in one look.
	atOnce = 200
	// maxRegions bounds what is reported, and regionsFor is how long it is remembered.
	maxRegions = 16
	regionsFor = time.Minute
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

	regions     []string
	regionsRead time.Time

	end   context.CancelFunc // of the watch; nil while there is none
	ended sync.WaitGroup
}

func newNodesTask(w *worker) *nodesTask { return &nodesTask{worker: w} }

func (t *nodesTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := &nodesSeen{generation: object.Generation}
	more, err := t.mark(ctx, object, next)
	if err != nil {
		next.located = troubled("NotWritten", "cannot set the locality of nodes of cluster %s; the agent needs to list, watch and patch nodes (agent.mesh.localities of the chart), or unset spec.region of the Cluster: %v", t.worker.agent.Cluster, err)
	}
	if !object.Spec.Leaving {
		if err := t.readRegions(ctx); err != nil && next.located == (trouble{}) {
			next.located = troubled("NotReadable", "cannot list nodes of cluster %s: %v", t.worker.agent.Cluster, err)
		}
		next.regions = t.regions
	}
	if ctx.Err() != nil {
		return outcome{}
	}
	return outcome{missing: more || next.located != trouble{}, news: t.worker.saw(func(s *seen) { s.nodes = next })}
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
			next.left = true // they are the other mesh's now
			return false, nil
		}
		want = holder.Spec.Locality
	}
	if want == nil || want.Region == "" {
		t.close()
		more, err = t.each(ctx, localityLabel, nil)
		next.left = err == nil && !more
		return more, err
	}
	t.watch(ctx)
	if more, err = t.each(ctx, "!"+corev1.LabelTopologyRegion, want); more || err != nil {
		return more, err
	}
	return t.each(ctx, localityLabel+","+localityLabel+"!="+mark(want), want)
}

// mark is the value of the label for a locality.
func mark(l *meshv1alpha1.MemberLocality) string {
	sum := sha256.Sum256([]byte(l.Region + "/" + l.Zone))
	return hex.EncodeToString(sum[:8])
}

// each writes the locality of nodes with labels, or takes it back.
func (t *nodesTask) each(ctx context.Context, selector string, want *meshv1alpha1.MemberLocality) (more bool, err error) {
	list, err := t.list(ctx, metav1.ListOptions{LabelSelector: selector, Limit: atOnce})
	if err != nil {
		return false, err
	}
	for i := range list.Items {
		if err := t.write(ctx, &list.Items[i], want); err != nil && !apierrors.IsNotFound(err) {
			return true, err
		}
	}
	return list.Continue != "", nil
}

// write sets the locality of one node. What somebody else has set stays: only a zone that
// the node has, or a region that it got just now.
func (t *nodesTask) write(ctx context.Context, node *metav1.PartialObjectMetadata, want *meshv1alpha1.MemberLocality) error {
	apply := func(labels map[string]string) error {
		return t.worker.agent.member.apply(ctx, "nodes", "Node", node.Name, node.UID, labels)
	}
	if want == nil {
		return apply(nil)
	}
	labels := map[string]string{localityLabel: mark(want), corev1.LabelTopologyRegion: want.Region}
	if want.Zone != "" {
		labels[corev1.LabelTopologyZone] = want.Zone
	}
	err := apply(labels)
	if apierrors.IsConflict(err) && want.Zone != "" {
		delete(labels, corev1.LabelTopologyZone)
		err = apply(labels)
	}
	if apierrors.IsConflict(err) {
		return apply(nil)
	}
	return err
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
	if !t.regionsRead.IsZero() && now.Sub(t.regionsRead) < regionsFor {
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
	t.regions = regions
	if len(regions) > 0 {
		t.regionsRead = now
	}
	return nil
}

// watch makes this task look again when there is a node without a region.
func (t *nodesTask) watch(ctx context.Context) {
	if t.end != nil {
		return
	}
	ctx, t.end = context.WithCancel(ctx)
	logger := klog.FromContext(ctx)
	resource := t.worker.agent.Metadata.Resource(nodeResource)
	selected := func(options metav1.ListOptions) metav1.ListOptions {
		options.LabelSelector = "!" + corev1.LabelTopologyRegion
		return options
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, selected(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, selected(options))
		},
	}
	reflector := cache.NewReflectorWithOptions(listThenWatch{source}, &metav1.PartialObjectMetadata{}, bell{t.worker.wakeNodes}, cache.ReflectorOptions{
		Logger:  &logger,
		Name:    "nodes without a region",
		Backoff: &wait.Backoff{Duration: time.Second, Cap: 30 * time.Second, Steps: 6, Factor: 2, Jitter: 0.5},
	})
	t.ended.Go(func() { reflector.RunWithContext(ctx) })
}

// close ends the watch.
func (t *nodesTask) close() {
	if t.end == nil {
		return
	}
	t.end()
	t.ended.Wait()
	t.end = nil
}

// bell is a store that only hears that something came.
type bell struct{ ring func() }

func (b bell) Add(any) error    { b.ring(); return nil }
func (b bell) Update(any) error { return nil }
func (b bell) Delete(any) error { return nil }
func (b bell) Resync() error    { return nil }

func (b bell) Replace(items []any, _ string) error {
	if len(items) > 0 {
		b.ring()
	}
	return nil
}
