package mesh

import (
	"context"
	"encoding/json"

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
}

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
		return nodes, nil
	}
	// The watch says nothing of what is wrong with it.
	var nodes []corev1.Node
	err := w.agent.member.nodes(ctx, selector, func(n *corev1.Node) {
		if _, kept, ok := reachable(n); ok {
			nodes = append(nodes, kept)
		}
	})
	return nodes, err
}

// close ends the watch.
func (g *gatewayNodes) close() {
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

// nodeSource lists and watches nodes whole.
func (m *member) nodeSource() nodeSource {
	return nodeSource{
		list: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			out := &corev1.NodeList{}
			return out, m.core.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(out)
		},
		watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return m.core.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
		},
		of: &corev1.Node{},
	}
}
