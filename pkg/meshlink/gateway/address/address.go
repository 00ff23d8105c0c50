package address

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// Of are where istiods of peers will send traffic that goes to the Service
// of a gateway, in order; port is the gateway's port of the Service. When there are
// none, missing says what has to be done so that there are.
func Of(service *corev1.Service, nodes []corev1.Node, port int32) (addresses []meshv1alpha1.GatewayAddress, missing string) {
	at := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port })
	if at < 0 {
		return nil, fmt.Sprintf("Service %s/%s has no port %d; peers of Istio do not take it for a gateway then", service.Namespace, service.Name, port)
	}
	selector, byNodes := service.Annotations[NodeSelector]
	byNodes = byNodes && service.Spec.Type == corev1.ServiceTypeNodePort

	hosts := balancer(service)
	hosts = append(hosts, service.Spec.ExternalIPs...)
	if byNodes {
		port = service.Spec.Ports[at].NodePort
		if port == 0 {
			return nil, fmt.Sprintf("Service %s/%s has not got its node port yet", service.Namespace, service.Name)
		}
		if len(hosts) == 0 {
			var err error
			if hosts, err = nodeIPs(nodes, selector); err != nil {
				return nil, fmt.Sprintf("Service %s/%s: annotation %s: %v", service.Namespace, service.Name, NodeSelector, err)
			}
		}
	}
	for _, host := range hosts {
		addresses = append(addresses, meshv1alpha1.GatewayAddress{Address: host, Port: port})
	}
	slices.SortFunc(addresses, func(a, b meshv1alpha1.GatewayAddress) int { return strings.Compare(a.Address, b.Address) })
	addresses = slices.Compact(addresses)
	if len(addresses) == 0 {
		missing = wayOut(service, byNodes, selector)
	}
	return addresses, missing
}

// balancer are the addresses that a load balancer has given.
func balancer(service *corev1.Service) []string {
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	var hosts []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		switch {
		case ingress.IP != "":
			hosts = append(hosts, ingress.IP)
		case ingress.Hostname != "":
			hosts = append(hosts, ingress.Hostname)
		}
	}
	return hosts
}

// nodeIPs are the first ExternalIP of every node that has the labels. istiod takes
// the first, and no other kind of address.
func nodeIPs(nodes []corev1.Node, selector string) ([]string, error) {
	wanted := map[string]string{}
	if selector != "" {
		if err := json.Unmarshal([]byte(selector), &wanted); err != nil {
			return nil, fmt.Errorf("must be a map of labels as JSON: %w", err)
		}
	}
	var ips []string
	for i := range nodes {
		node := &nodes[i]
		if !labels.SelectorFromSet(wanted).Matches(labels.Set(node.Labels)) {
			continue
		}
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeExternalIP && address.Address != "" {
				ips = append(ips, address.Address)
				break
			}
		}
	}
	return ips, nil
}

func wayOut(service *corev1.Service, byNodes bool, selector string) string {
	object := "Service " + service.Namespace + "/" + service.Name
	const static = "write addresses into spec.gateway.addresses of the Mesh"
	switch {
	case byNodes && selector != "" && selector != "{}":
		return fmt.Sprintf("no node with labels %s has an address of type ExternalIP, which is all that Istio looks for; %s", selector, static)
	case byNodes:
		return "no node has an address of type ExternalIP, which is all that Istio looks for; " + static
	case service.Spec.Type == corev1.ServiceTypeLoadBalancer:
		return object + " has no address from a load balancer; look at its events, or if the cluster has no load balancers, use serviceType NodePort or " + static
	case service.Spec.Type == corev1.ServiceTypeNodePort:
		return fmt.Sprintf("%s has no annotation %s, without which Istio takes no node for its address; was it changed by hand?", object, NodeSelector)
	default:
		return object + " is of type " + string(service.Spec.Type) + " and has no address that peers reach; " + static
	}
}
