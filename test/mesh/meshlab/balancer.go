package meshlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

const (
	networkLabel = "topology.istio.io/network"
	portLabel    = "networking.istio.io/gatewayPort"
)

// eastWest is what runs behind the Service of a gateway.
type eastWest struct {
	proxy *ads.Client
	// listens has the gateway at each place, host:port, that leads to it. It is empty
	// until istiod has told on what and where to, as with Envoy.
	listens map[string]*traffic.Gateway
	// of is the Service, and the network that it is for.
	of string
	// port is that of the Service, and of the pod.
	port int32
}

// told says whether istiod has told a gateway all that it needs.
func (e *eastWest) told() bool {
	view, _ := e.proxy.View()
	passages := view.Passages[uint32(e.port)]
	for i := range passages {
		if !view.Destinations[passages[i].Destination].Known {
			return false
		}
	}
	return len(passages) > 0
}

// balance gives the gateway's Service its address if it is of type LoadBalancer, and
// runs the gateway wherever something leads to it.
func (p *plane) balance(ctx context.Context) error {
	service, err := p.gatewayService(ctx)
	if err != nil {
		return err
	}
	balanced := service != nil && service.Spec.Type == corev1.ServiceTypeLoadBalancer
	if service == nil || balanced && p.silent || p.unplugged {
		p.closeGateway()
	}
	switch {
	case service == nil:
		return nil
	case balanced && p.silent:
		return p.giveAddress(ctx, service, "")
	}
	if balanced && p.ip == "" {
		if p.ip, err = SomeIP(); err != nil {
			return err
		}
	}
	if !p.unplugged {
		places, err := p.places(ctx, service)
		if err == nil {
			err = p.runGateway(service, places)
		}
		if err != nil {
			return err
		}
	}
	if !balanced {
		return nil
	}
	return p.giveAddress(ctx, service, p.ip)
}

// gatewayService is the Service of the member's gateway; nil when there is none.
func (p *plane) gatewayService(ctx context.Context) (*corev1.Service, error) {
	list, err := p.member.Core.CoreV1().Services(istiolab.Namespace).List(ctx, metav1.ListOptions{LabelSelector: networkLabel})
	if err != nil {
		return nil, err
	}
	var service *corev1.Service
	for i := range list.Items {
		if s := &list.Items[i]; s.DeletionTimestamp == nil {
			service = s
		}
	}
	return service, nil
}

// servicePort is the port of a gateway's Service.
func servicePort(service *corev1.Service) (*corev1.ServicePort, error) {
	want := strconv.Itoa(traffic.GatewayPort)
	if label := service.Labels[portLabel]; label != "" {
		want = label
	}
	for i := range service.Spec.Ports {
		if port := &service.Spec.Ports[i]; strconv.Itoa(int(port.Port)) == want {
			return port, nil
		}
	}
	return nil, fmt.Errorf("the Service %s has no port %s", service.Name, want)
}

// places are where something leads to the Service: its load balancer, the nodes, and what
// is in front of them.
func (p *plane) places(ctx context.Context, service *corev1.Service) (places []string, err error) {
	port, err := servicePort(service)
	if err != nil {
		return nil, err
	}
	hosts, at := slices.Clone(service.Spec.ExternalIPs), port.Port
	switch service.Spec.Type {
	case corev1.ServiceTypeLoadBalancer:
		hosts = append(hosts, p.ip)
		if service.Spec.LoadBalancerIP != "" {
			hosts = append(hosts, service.Spec.LoadBalancerIP)
		}
	case corev1.ServiceTypeNodePort:
		nodes, err := p.member.Core.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for i := range nodes.Items {
			hosts, at = append(hosts, externalIPs(&nodes.Items[i])...), port.NodePort
		}
	}
	for _, host := range hosts {
		if !slices.Contains(p.dead, host) {
			places = append(places, net.JoinHostPort(host, strconv.Itoa(int(at))))
		}
	}
	slices.Sort(places)
	return slices.Compact(places), nil
}

func externalIPs(node *corev1.Node) (ips []string) {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeExternalIP {
			ips = append(ips, address.Address)
		}
	}
	return ips
}

func (p *plane) runGateway(service *corev1.Service, places []string) error {
	port, err := servicePort(service)
	if err != nil {
		return err
	}
	of := string(service.UID) + service.Labels[networkLabel]
	if p.gateway != nil && p.gateway.of != of {
		p.closeGateway()
	}
	if p.gateway == nil {
		proxy, err := p.connect(ads.Node{
			Type: ads.Router, Pod: service.Name + "-0", Namespace: service.Namespace, ServiceAccount: service.Name,
			NetworkView: []string{service.Labels[networkLabel]}, Labels: service.Spec.Selector,
		})
		if err != nil {
			return err
		}
		p.gateway = &eastWest{proxy: proxy, of: of, port: port.Port, listens: map[string]*traffic.Gateway{}}
	}
	for place, there := range p.gateway.listens {
		if !slices.Contains(places, place) {
			_ = there.Close()
			delete(p.gateway.listens, place)
		}
	}
	if len(p.gateway.listens) == 0 && !p.gateway.told() {
		return nil
	}
	var failed error
	for _, place := range places {
		if p.gateway.listens[place] != nil {
			continue
		}
		listener, err := net.Listen("tcp", place)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		p.gateway.listens[place] = traffic.NewGatewayOf(listener, p.gateway.proxy, p.addresses, p.network, uint32(port.Port))
	}
	return failed
}

// SomeIP is an address of 127.0.0.0/8 at which a gateway can listen.
func SomeIP() (string, error) {
	listener, err := traffic.ListenLoopback()
	if err != nil {
		return "", err
	}
	ip := listener.Addr().(*net.TCPAddr).IP.String()
	return ip, listener.Close()
}

func (p *plane) closeGateway() {
	if p.gateway == nil {
		return
	}
	for _, there := range p.gateway.listens {
		_ = there.Close()
	}
	p.gateway.proxy.Close()
	p.gateway = nil
}

// giveAddress writes what a load balancer gives; nothing if empty.
func (p *plane) giveAddress(ctx context.Context, service *corev1.Service, ip string) error {
	there := service.Status.LoadBalancer.Ingress
	patch := `{"status":{"loadBalancer":{"ingress":null}}}`
	if ip != "" {
		patch = fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, ip)
	}
	if (ip == "" && len(there) == 0) || (len(there) == 1 && there[0].IP == ip) {
		return nil
	}
	_, err := p.member.Core.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}
