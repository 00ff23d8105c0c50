package istiolab

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
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
