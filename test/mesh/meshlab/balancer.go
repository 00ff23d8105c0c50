package meshlab

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

const (
	gatewaySelector = "istio=eastwestgateway"
	networkLabel    = "topology.istio.io/network"
)

// eastWest is what runs behind a Service of type LoadBalancer.
type eastWest struct {
	proxy *ads.Client
	// listens is nil until istiod has told on what and where to, as with Envoy.
	listens *traffic.Gateway
	// of is the Service, and the network that it is for.
	of string
}

// told says whether istiod has told a gateway all that it needs.
func (e *eastWest) told() bool {
	view, _ := e.proxy.View()
	passages := view.Passages[traffic.GatewayPort]
	for i := range passages {
		if !view.Destinations[passages[i].Destination].Known {
			return false
		}
	}
	return len(passages) > 0
}

// balance gives the gateway's Service its address, and runs the gateway there.
func (p *plane) balance(ctx context.Context) error {
	list, err := p.member.Core.CoreV1().Services(istiolab.Namespace).List(ctx, metav1.ListOptions{LabelSelector: gatewaySelector})
	if err != nil {
		return err
	}
	var service *corev1.Service
	for i := range list.Items {
		if s := &list.Items[i]; s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.DeletionTimestamp == nil {
			service = s
		}
	}
	if service == nil || p.silent || p.unplugged {
		p.closeGateway()
	}
	if service == nil {
		return nil
	}
	if p.silent {
		return p.address(ctx, service, "")
	}
	if p.ip == "" {
		if p.ip, err = someIP(); err != nil {
			return err
		}
	}
	if !p.unplugged {
		if err := p.runGateway(service); err != nil {
			return err
		}
	}
	return p.address(ctx, service, p.ip)
}

func (p *plane) runGateway(service *corev1.Service) error {
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
		p.gateway = &eastWest{proxy: proxy, of: of}
	}
	if p.gateway.listens != nil || !p.gateway.told() {
		return nil
	}
	listener, err := traffic.Listen(p.ip)
	if err != nil {
		return err
	}
	p.gateway.listens = traffic.NewGateway(listener, p.gateway.proxy, p.addresses, p.network)
	return nil
}

// someIP is an address of 127.0.0.0/8 at which a gateway can listen.
func someIP() (string, error) {
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
	if p.gateway.listens != nil {
		_ = p.gateway.listens.Close()
	}
	p.gateway.proxy.Close()
	p.gateway = nil
}

// address writes the address of a Service; none if empty.
func (p *plane) address(ctx context.Context, service *corev1.Service, ip string) error {
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

// WithholdAddress makes the load balancer of a member give no address, and take
// the one it has given; or give it again.
func (m *Member) WithholdAddress(withhold bool) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	m.plane.silent = withhold
}

// Unplug lets nothing be behind the address that the member's load balancer gives;
// or the gateway again.
func (m *Member) Unplug(unplug bool) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	m.plane.unplugged = unplug
}

// GatewayIP is the address that the member's load balancer gives; empty when it
// has not given one yet.
func (m *Member) GatewayIP() string {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	return m.plane.ip
}
