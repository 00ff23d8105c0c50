package gateway

import (
	"maps"

	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway/address"
)

// Istio's names for what a gateway between networks consists of.
const (
	// NetworkLabel names the network of a namespace, of a gateway's Service and of
	// its pods.
	NetworkLabel = address.Network
	// PortLabel is the gateway's port, on its Service, if it is not 15443.
	PortLabel = address.Port
	// NodeSelectorAnnotation on a Service of type NodePort makes nodes its
	// addresses; its value is a map of labels as JSON.
	NodeSelectorAnnotation = address.NodeSelector

	// name of Deployment, Service and ServiceAccount in mode Service.
	name = "istio-eastwestgateway"
	// exposure is the name of what lets traffic through.
	exposure = "cross-network-gateway"
	// selector is the value of the label "istio" of a gateway's pods.
	selector = "eastwestgateway"
)

// Cluster is the cluster that a gateway is for.
type Cluster struct {
	// Mesh is the name of the mesh.
	Mesh string
	// Name of the cluster.
	Name string
	// Network that it is in.
	Network string
}

// Needed says whether a cluster needs a gateway: whether a peer is in another
// network.
func Needed(spec *meshv1alpha1.MeshSpec, cluster string, peers []string) bool {
	own := spec.Network(cluster)
	for _, peer := range peers {
		if peer != cluster && spec.Network(peer) != own {
			return true
		}
	}
	return false
}

// Namespace is istio-system with the label of its network. The namespace is not
// ours: whoever writes it must not delete it when the cluster leaves the mesh.
func Namespace(cluster Cluster) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name:   meshv1alpha1.IstioNamespace,
			Labels: map[string]string{NetworkLabel: cluster.Network},
		},
	}
}

// ServiceName is the name of the gateway's Service.
func ServiceName(spec *meshv1alpha1.MeshGateway) string {
	if spec.Mode == meshv1alpha1.GatewayAPI {
		return exposure + "-istio" // as istiod names it: the Gateway and its class
	}
	return name
}

// Origin says what makes the gateway's Service, and where to look while it is not there.
func Origin(spec *meshv1alpha1.MeshGateway) string {
	if spec.Mode == meshv1alpha1.GatewayAPI {
		return "istiod there makes it of Gateway " + meshv1alpha1.IstioNamespace + "/" + exposure +
			" (gateway.networking.k8s.io): look at the status of that, and whether istiod runs with PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER, which is on unless somebody has turned it off"
	}
	return "the agent there makes it: look whether that runs"
}

// Objects are what a cluster needs for its gateway, with the defaults of the Mesh
// set, in the order in which they are to be made.
func Objects(spec *meshv1alpha1.MeshGateway, cluster Cluster) []runtime.Object {
	if spec.Mode == meshv1alpha1.GatewayAPI {
		return []runtime.Object{gatewayAPI(spec, cluster)}
	}
	objects := []runtime.Object{serviceAccount(cluster), deployment(spec, cluster)}
	if replicas(spec) > 1 {
		objects = append(objects, disruptionBudget(cluster))
	}
	return append(objects, service(spec, cluster), crossNetwork(spec, cluster))
}

// crossNetwork lets traffic for all services of the mesh through, by the name of
// the service in the TLS handshake. It stays encrypted from workload to workload.
func crossNetwork(spec *meshv1alpha1.MeshGateway, cluster Cluster) *networkingv1.Gateway {
	return &networkingv1.Gateway{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "Gateway"},
		ObjectMeta: metadata(exposure, cluster, nil),
		Spec: networkingv1alpha3.Gateway{
			Selector: map[string]string{"istio": selector},
			Servers: []*networkingv1alpha3.Server{{
				Port:  &networkingv1alpha3.Port{Number: uint32(spec.Port), Name: "tls", Protocol: "TLS"},
				Tls:   &networkingv1alpha3.ServerTLSSettings{Mode: networkingv1alpha3.ServerTLSSettings_AUTO_PASSTHROUGH},
				Hosts: []string{"*.local"},
			}},
		},
	}
}

// metadata is the metadata of an object in istio-system.
func metadata(name string, cluster Cluster, more map[string]string) metav1.ObjectMeta {
	labels := map[string]string{meshv1alpha1.MeshLabel: cluster.Mesh}
	maps.Copy(labels, more)
	return metav1.ObjectMeta{Namespace: meshv1alpha1.IstioNamespace, Name: name, Labels: labels}
}

func replicas(spec *meshv1alpha1.MeshGateway) int32 {
	if spec.Replicas == nil {
		return 1
	}
	return *spec.Replicas
}

// static are the addresses that the Mesh gives to a cluster.
func static(spec *meshv1alpha1.MeshGateway, cluster string) []string {
	for i := range spec.Addresses {
		if spec.Addresses[i].ClusterName == cluster {
			return spec.Addresses[i].Addresses
		}
	}
	return nil
}

// Static are the addresses that peers take from the Gateway itself in mode
// GatewayAPI; they come on top of those of its Service. In mode Service the
// Service has them.
func Static(spec *meshv1alpha1.MeshGateway, cluster string) []meshv1alpha1.GatewayAddress {
	if spec.Mode != meshv1alpha1.GatewayAPI {
		return nil
	}
	var addresses []meshv1alpha1.GatewayAddress
	for _, ip := range static(spec, cluster) {
		addresses = append(addresses, meshv1alpha1.GatewayAddress{Address: ip, Port: spec.Port})
	}
	return addresses
}
