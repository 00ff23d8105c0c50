package v1alpha1

import corev1 "k8s.io/api/core/v1"

// MeshGatewayMode says what makes the gateway of a cluster.
// +enum
type MeshGatewayMode string

const (
	// GatewayService means a Deployment and a Service, as Istio's chart "gateway"
	// makes them.
	GatewayService MeshGatewayMode = "Service"
	// GatewayAPI means one Gateway of gateway.networking.k8s.io, from which
	// istiod makes the rest.
	GatewayAPI MeshGatewayMode = "GatewayAPI"
)

// MeshGateway says how traffic from other networks gets into a cluster.
type MeshGateway struct {
	// Mode is Service (default) or GatewayAPI.
	// +optional
	Mode MeshGatewayMode `json:"mode,omitempty"`

	// ServiceType is LoadBalancer (default), NodePort, or ClusterIP with
	// addresses. NodePort is reached at the ExternalIPs of nodes.
	// +optional
	ServiceType corev1.ServiceType `json:"serviceType,omitempty"`

	// Port at which peers connect. Default 15443.
	// +optional
	Port int32 `json:"port,omitempty"`

	// NodePort is the port of the nodes with serviceType NodePort. 0: the cluster
	// chooses.
	// +optional
	NodePort int32 `json:"nodePort,omitempty"`

	// NodeSelector says, with serviceType NodePort, at which nodes peers connect.
	// Empty: at all that have an ExternalIP.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Replicas of the gateway's Deployment. Default 1.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// Revision of Istio (istio.io/rev) that injects the gateway. Empty: the
	// default one.
	// +optional
	Revision string `json:"revision,omitempty"`

	// Annotations of the gateway's Service, such as those a cloud's load balancer
	// reads.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// Addresses at which the gateway of a cluster is reached, besides those the
	// cluster itself gives to the Service.
	// +optional
	// +listType=map
	// +listMapKey=clusterName
	Addresses []ClusterAddresses `json:"addresses,omitempty"`
}

// ClusterAddresses are addresses at which the gateway of a cluster is reached.
type ClusterAddresses struct {
	// ClusterName is the cluster.
	ClusterName string `json:"clusterName"`
	// Addresses are IPs that lead to the gateway's Service.
	// +listType=atomic
	Addresses []string `json:"addresses"`
}

// GatewayAddress is where peers connect to a gateway.
type GatewayAddress struct {
	// Address is an IP or a host name.
	Address string `json:"address"`
	// Port to connect to.
	Port int32 `json:"port"`
}
