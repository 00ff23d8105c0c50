package byhand

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

const (
	helloPort, helloTarget = 80, 8080
)

var helloHost = istiolab.HostOf("default", "hello")

// hello runs the service of the tutorial in a member, with pods that say that
// they have a sidecar.
func (m *member) hello(ctx context.Context, t *testing.T, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": "hello"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "hello"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "hello", "security.istio.io/tlsMode": "istio"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "hello", Image: "registry.example.com/hello:1"}}},
			},
		},
	}
	_, err := m.core.AppsV1().Deployments("default").Create(ctx, deployment, metav1.CreateOptions{})
	require.NoError(t, err)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "hello"},
		Spec: corev1.ServiceSpec{
			Selector: labels,
			Ports:    []corev1.ServicePort{{Name: "http", Port: helloPort, TargetPort: intstr.FromInt32(helloTarget)}},
		},
	}
	_, err = m.core.CoreV1().Services("default").Create(ctx, service, metav1.CreateOptions{})
	require.NoError(t, err)
}

// scale sets the number of pods of hello.
func (m *member) scale(t *testing.T, replicas int) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	_, err := m.core.AppsV1().Deployments("default").Patch(t.Context(), "hello", "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
}

// podAddresses are host:port of the pods of hello, once all run.
func (m *member) podAddresses(t *testing.T, replicas int) map[string]string {
	t.Helper()
	addresses := map[string]string{}
	eventually(t, fmt.Sprintf("%d pods of hello run in %s", replicas, m.name), func() error {
		pods, err := m.core.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=hello"})
		if err != nil {
			return err
		}
		clear(addresses)
		for _, pod := range pods.Items {
			if pod.Status.PodIP != "" && pod.Status.Phase == corev1.PodRunning {
				addresses[pod.Name] = net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(helloTarget))
			}
		}
		if len(addresses) != replicas {
			return fmt.Errorf("%d run", len(addresses))
		}
		return nil
	})
	return addresses
}

// serve answers for the pods of hello.
func (m *member) serve(t *testing.T, addresses *traffic.Addresses, pods map[string]string) {
	t.Helper()
	identity := m.identity(t)
	for name, address := range pods {
		server, err := traffic.Serve(m.name+"/"+name, identity, addresses, m.network, address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = server.Close() })
	}
}

// identity is that of workloads of namespace default. An istiod that has just
// become ready needs a moment until it has told its root, so, like a proxy, this
// tries again.
func (m *member) identity(t *testing.T) (identity *traffic.Identity) {
	t.Helper()
	require.NoError(t, await(t.Context(), func() (err error) {
		identity, err = traffic.NewIdentity(t.Context(), m.istiod, "default", "default")
		return err
	}))
	return identity
}

// gateway runs the member's east-west gateway on a listener.
func (m *member) gateway(ctx context.Context, t *testing.T, addresses *traffic.Addresses, listener net.Listener) *traffic.Gateway {
	t.Helper()
	proxy := m.connect(ctx, t, ads.Node{
		Type: ads.Router, Pod: gatewayName + "-0", Namespace: istiolab.Namespace, ServiceAccount: gatewayName,
		NetworkView: []string{m.network}, Labels: map[string]string{"istio": "eastwestgateway"},
	})
	gateway := traffic.NewGateway(listener, proxy, addresses, m.network)
	t.Cleanup(func() { _ = gateway.Close() })
	return gateway
}

// caller is a workload of namespace default in the member.
func (m *member) caller(ctx context.Context, t *testing.T, addresses *traffic.Addresses) *traffic.Caller {
	t.Helper()
	identity := m.identity(t)
	proxy := m.connect(ctx, t, ads.Node{Type: ads.Sidecar, Pod: "caller", Namespace: "default", ServiceAccount: "default"})
	return &traffic.Caller{Proxy: proxy, Identity: identity, Addresses: addresses, Network: m.network}
}

func (m *member) connect(ctx context.Context, t *testing.T, node ads.Node) *ads.Client {
	t.Helper()
	node.IP, node.ClusterID, node.Network = "10.9.9.9", m.name, m.network
	proxy, err := ads.Connect(ctx, node, func(ctx context.Context) (*grpc.ClientConn, error) {
		return m.istiod.Dial(ctx, node.Namespace, node.ServiceAccount)
	})
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	return proxy
}

// endpoints waits until a proxy's endpoints of hello are these, as
// address=weight, and returns them.
func endpoints(t *testing.T, proxy *ads.Client, what string, want map[string]uint32) {
	t.Helper()
	eventually(t, what, func() error {
		view, _ := proxy.View()
		found := map[string]uint32{}
		for _, e := range view.Destinations[traffic.DestinationName(helloHost, helloPort)].Endpoints {
			found[e.Address] += e.Weight
		}
		if !maps.Equal(found, want) {
			return fmt.Errorf("endpoints are %v, want %v; connection: %w", found, want, proxy.Err())
		}
		return nil
	})
}
