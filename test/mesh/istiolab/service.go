package istiolab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	discoveryv1apply "k8s.io/client-go/applyconfigurations/discovery/v1"
)

const (
	// serviceName is what Istio's charts call istiod's Service.
	serviceName = "istiod"
	// fieldManager is who writes it here.
	fieldManager = "istiolab"
	loopback     = "127.0.0.1"
)

// announce gives the member the Service of istiod that Istio's charts make, with
// the same labels and names of ports. Its address is where istiod listens, which
// is how an agent outside of the member finds it.
func (i *Istiod) announce(ctx context.Context, p ports) error {
	port := func(name string, number int) *corev1apply.ServicePortApplyConfiguration {
		return corev1apply.ServicePort().WithName(name).WithPort(int32(number)).WithProtocol(corev1.ProtocolTCP)
	}
	service := corev1apply.Service(serviceName, Namespace).
		WithLabels(map[string]string{"app": "istiod", "istio": "pilot", "istio.io/rev": "default"}).
		WithSpec(corev1apply.ServiceSpec().
			WithType(corev1.ServiceTypeLoadBalancer).WithAllocateLoadBalancerNodePorts(false).
			WithPorts(port("grpc-xds", p.grpc), port("https-dns", p.secureGRPC), port("https-webhook", p.https), port("http-monitoring", p.monitoring)))
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	services := i.client.CoreV1().Services(Namespace)
	if _, err := services.Apply(ctx, service, options); err != nil {
		return fmt.Errorf("applying Service %s/%s of %s: %w", Namespace, serviceName, i.Cluster, err)
	}
	status := corev1apply.Service(serviceName, Namespace).WithStatus(corev1apply.ServiceStatus().
		WithLoadBalancer(corev1apply.LoadBalancerStatus().WithIngress(corev1apply.LoadBalancerIngress().WithIP(loopback))))
	if _, err := services.ApplyStatus(ctx, status, options); err != nil {
		return fmt.Errorf("address of Service %s/%s of %s: %w", Namespace, serviceName, i.Cluster, err)
	}
	return nil
}

// ErrNoAddress says that this machine has no address but loopback.
var ErrNoAddress = errors.New("this machine has no IPv4 address but those of loopback, which EndpointSlices do not take")

// Address is one of this machine that can be that of a pod.
func Address() (string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String(), nil
		}
	}
	return "", ErrNoAddress
}

// withdrawTimeout is for a member that is away.
const withdrawTimeout = 5 * time.Second

// Withdraw takes istiod from behind its Service, as is done with a pod that is not ready.
func (i *Istiod) Withdraw() error {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTimeout)
	defer cancel()
	if !i.Ready() {
		return nil
	}
	return i.publish(ctx, false)
}

// Ready tells whether istiod is behind its Service.
func (i *Istiod) Ready() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ready
}

// publish says whether istiod is ready. With an address it is in the EndpointSlice that
// the endpoint slice controller makes for it, with the labels of the Service.
func (i *Istiod) publish(ctx context.Context, ready bool) error {
	i.mu.Lock()
	i.ready = ready
	address, p := i.Address, i.ports
	i.mu.Unlock()
	if address == "" {
		return nil
	}
	port := func(name string, number int) *discoveryv1apply.EndpointPortApplyConfiguration {
		return discoveryv1apply.EndpointPort().WithName(name).WithPort(int32(number)).WithProtocol(corev1.ProtocolTCP)
	}
	slice := discoveryv1apply.EndpointSlice(i.Pod, Namespace).
		WithLabels(map[string]string{discoveryv1.LabelServiceName: serviceName, discoveryv1.LabelManagedBy: fieldManager, "app": "istiod", "istio": "pilot", "istio.io/rev": "default"}).
		WithAddressType(discoveryv1.AddressTypeIPv4).
		WithEndpoints(discoveryv1apply.Endpoint().WithAddresses(address).
			WithConditions(discoveryv1apply.EndpointConditions().WithReady(ready)).
			WithTargetRef(corev1apply.ObjectReference().WithKind("Pod").WithNamespace(Namespace).WithName(i.Pod))).
		WithPorts(port("https-dns", p.secureGRPC), port("http-monitoring", p.monitoring))
	if _, err := i.client.DiscoveryV1().EndpointSlices(Namespace).Apply(ctx, slice, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
		return fmt.Errorf("applying EndpointSlice %s/%s of %s: %w", Namespace, i.Pod, i.Cluster, err)
	}
	return nil
}

// SetAddress changes Address for the next start.
func (i *Istiod) SetAddress(address string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.Address = address
}
