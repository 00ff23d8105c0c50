package mesh

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway/address"
)

// gatewayNodes are the nodes that a gateway of type NodePort is reached at. They are watched,
// whole as by the istiods of all peers: a peer goes on sending to a node that is gone for
// as long as it is not told.
type gatewayNodes struct {
	watch *nodeWatch[corev1.Node]
	// selector is what is watched.
	selector string
	// listed are those that were read until the watch has its first list, and until is when
	// they are read again.
	listed []corev1.Node
	until  time.Time
}

// listedFor is how long nodes are not read again that were read beside the watch.
const listedFor = 15 * time.Second

// read are the nodes that a Service is reached at, with labels and ExternalIPs; none if it
// is not reached at nodes.
func (g *gatewayNodes) read(ctx context.Context, w *worker, service *corev1.Service) ([]corev1.Node, error) {
	annotation, byNodes := service.Annotations[address.NodeSelector]
	selected := map[string]string{}
	if annotation != "" && json.Unmarshal([]byte(annotation), &selected) != nil {
		byNodes = false // whoever makes addresses of it says so
	}
	if !byNodes || service.Spec.Type != corev1.ServiceTypeNodePort || len(service.Spec.ExternalIPs) > 0 {
		g.close()
		return nil, nil
	}
	selector := labels.SelectorFromSet(selected).String()
	if g.watch == nil || g.selector != selector {
		g.close()
		g.selector = selector
		g.watch = &nodeWatch[corev1.Node]{ring: w.wakeCluster, keep: reachable}
		g.watch.start(ctx, "nodes of the gateway", selector, w.agent.member.nodeSource())
	}
	if nodes, synced := g.watch.all(); synced {
		g.listed, g.until = nil, time.Time{}
		return nodes, nil
	}
	if w.now().Before(g.until) {
		return g.listed, nil
	}
	// The watch says nothing of what is wrong with it.
	list, err := w.agent.member.reachableNodes(ctx, selector)
	if err != nil {
		return nil, err
	}
	g.listed, g.until = list.Items, w.now().Add(listedFor)
	return g.listed, nil
}

// close ends the watch, and forgets what was read beside it.
func (g *gatewayNodes) close() {
	g.listed, g.until = nil, time.Time{}
	if g.watch != nil {
		g.watch.close()
		g.watch = nil
	}
}

// reachable keeps labels and ExternalIPs of a node that has one.
func reachable(obj any) (string, corev1.Node, bool) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return "", corev1.Node{}, false
	}
	small := corev1.Node{}
	small.Name, small.Labels = node.Name, node.Labels
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeExternalIP {
			small.Status.Addresses = append(small.Status.Addresses, a)
		}
	}
	return node.Name, small, len(small.Status.Addresses) > 0
}

// reachableNodes lists what is kept of nodes with labels. They are read whole, a page at a
// time, of which the rest is let go of before the next.
func (m *member) reachableNodes(ctx context.Context, selector string) (*corev1.NodeList, error) {
	out := &corev1.NodeList{}
	version, err := m.nodes(ctx, selector, func(n *corev1.Node) {
		if _, kept, ok := reachable(n); ok {
			out.Items = append(out.Items, kept)
		}
	})
	out.ResourceVersion = version
	return out, err
}

// nodeSource lists nodes as far as they are kept, and watches them whole.
func (m *member) nodeSource() nodeSource {
	return nodeSource{
		// Out of its memory the API server gives all nodes at once, whatever the limit, and
		// a reflector asks for that. One that gets all of a list asks for no further page.
		list: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return m.reachableNodes(ctx, options.LabelSelector)
		},
		watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return m.core.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
		},
		of: &corev1.Node{},
	}
}
