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
	// Mode is Service (default) or GatewayAPI. It cannot change while clusters are
	// linked: the gateway of one mode goes before that of the other has an address,
	// and without a gateway Istio sends traffic to pods that cannot be reached.
	// +optional
	Mode MeshGatewayMode `json:"mode,omitempty"`

	// ServiceType is LoadBalancer (default), NodePort, or ClusterIP with
	// addresses. NodePort is reached at the ExternalIPs of nodes. It cannot change
	// while clusters are linked: peers would lose the addresses that they use.
	// +optional
	ServiceType corev1.ServiceType `json:"serviceType,omitempty"`

	// Port at which peers connect; none of those that Istio itself has in the
	// gateway's pod. It cannot change while clusters are linked: no peer would reach
	// a gateway until its istiod has learnt the new one. Default 15443.
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
	// reads. Not those by which the federation works (*.karmada.io,
	// *.flotilla.io), nor traffic.istio.io/nodeSelector, for which there is
	// nodeSelector.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// Addresses at which the gateway of a cluster is reached, besides those that a load
	// balancer gives to the Service, and in place of those of nodes. With mode
	// GatewayAPI one for each cluster. With serviceType NodePort they lead to nodes, at
	// the node port, and a cluster that is reached at its nodes cannot get any.
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
