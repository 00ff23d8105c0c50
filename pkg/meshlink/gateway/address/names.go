package address

// Istio's names for what makes a Service a gateway between networks.
const (
	// Network is the label that names the network of a namespace, of a gateway's Service
	// and of its pods.
	Network = "topology.istio.io/network"
	// Port is the label with the gateway's port, on its Service, if it is not 15443.
	Port = "networking.istio.io/gatewayPort"
	// NodeSelector is the annotation on a Service of type NodePort that makes nodes its
	// addresses; its value is a map of labels as JSON.
	NodeSelector = "traffic.istio.io/nodeSelector"
)
