package ads

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// Types of proxies.
const (
	Sidecar = "sidecar"
	Router  = "router"
)

// Node is what a proxy says about itself.
type Node struct {
	// Type is Sidecar or Router.
	Type string
	// Pod, Namespace and ServiceAccount of the proxy. The token that the
	// connection was made with has to be of the same namespace.
	Pod, Namespace, ServiceAccount string
	// IP is the pod's address.
	IP string
	// ClusterID and Network are where the pod is.
	ClusterID, Network string
	// NetworkView are the networks whose endpoints a gateway wants to see; all
	// if empty.
	NetworkView []string
	// Labels are the pod's.
	Labels map[string]string
	// Region and Zone are those of the pod's node.
	Region, Zone string
}

// ID is the node's name in istiod's debug pages.
func (n *Node) ID() string { return n.Pod + "." + n.Namespace }

func (n *Node) proto() (*corev3.Node, error) {
	labels := map[string]any{}
	for key, value := range n.Labels {
		labels[key] = value
	}
	metadata := map[string]any{
		"CLUSTER_ID": n.ClusterID, "NETWORK": n.Network, "NAMESPACE": n.Namespace,
		"SERVICE_ACCOUNT": n.ServiceAccount, "NAME": n.Pod, "INSTANCE_IPS": n.IP,
		"ISTIO_VERSION": "1.31.1", "LABELS": labels,
	}
	if len(n.NetworkView) > 0 {
		// istiod reads a list out of a string with commas.
		view := n.NetworkView[0]
		for _, network := range n.NetworkView[1:] {
			view += "," + network
		}
		metadata["REQUESTED_NETWORK_VIEW"] = view
	}
	fields, err := structpb.NewStruct(metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata of proxy %s: %w", n.ID(), err)
	}
	return &corev3.Node{
		Id:       fmt.Sprintf("%s~%s~%s~%s.svc.cluster.local", n.Type, n.IP, n.ID(), n.Namespace),
		Metadata: fields,
		Locality: &corev3.Locality{Region: n.Region, Zone: n.Zone},
	}, nil
}
