package address

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func gatewayService(kind corev1.ServiceType, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "gw"},
		Spec:       corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{{Name: "status-port", Port: 15021}, {Name: "tls", Port: 15443}}},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func ingress(all ...corev1.LoadBalancerIngress) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = all }
}

func onNodes(selector string, port int32) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Annotations = map[string]string{NodeSelector: selector}
		s.Spec.Ports[1].NodePort = port
	}
}

func externalIPs(ips ...string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.ExternalIPs = ips }
}

func node(name string, labels map[string]string, addresses ...corev1.NodeAddress) corev1.Node {
	return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Status: corev1.NodeStatus{Addresses: addresses}}
}

func external(ip string) corev1.NodeAddress {
	return corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: ip}
}

func TestOf(t *testing.T) {
	edge := map[string]string{"edge": "true"}
	nodes := []corev1.Node{
		node("a", edge, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, external("203.0.113.1"), external("203.0.113.9")),
		node("b", nil, external("203.0.113.2")),
		node("c", edge, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "10.0.0.3"}),
	}
	cases := map[string]struct {
		reason  string
		service *corev1.Service
		port    int32
		want    []string
		wantAt  int32
		missing string
	}{
		"Balancer":      {reason: "An IP and a host name.", service: gatewayService(corev1.ServiceTypeLoadBalancer, ingress(corev1.LoadBalancerIngress{Hostname: "lb.example.org"}, corev1.LoadBalancerIngress{IP: "203.0.113.7"})), want: []string{"203.0.113.7", "lb.example.org"}, wantAt: 15443},
		"IPBeforeName":  {reason: "istiod takes the IP where there are both.", service: gatewayService(corev1.ServiceTypeLoadBalancer, ingress(corev1.LoadBalancerIngress{IP: "203.0.113.7", Hostname: "lb"})), want: []string{"203.0.113.7"}, wantAt: 15443},
		"Pending":       {reason: "The load balancer is being made, or there is none.", service: gatewayService(corev1.ServiceTypeLoadBalancer), missing: "events"},
		"Both":          {reason: "The Mesh's addresses come on top.", service: gatewayService(corev1.ServiceTypeLoadBalancer, ingress(corev1.LoadBalancerIngress{IP: "203.0.113.7"}), externalIPs("203.0.113.8", "203.0.113.7")), want: []string{"203.0.113.7", "203.0.113.8"}, wantAt: 15443},
		"Nodes":         {reason: "The first ExternalIP of each node that has the labels.", service: gatewayService(corev1.ServiceTypeNodePort, onNodes(`{"edge":"true"}`, 30443)), want: []string{"203.0.113.1"}, wantAt: 30443},
		"AllNodes":      {reason: "No labels choose all.", service: gatewayService(corev1.ServiceTypeNodePort, onNodes("{}", 30443)), want: []string{"203.0.113.1", "203.0.113.2"}, wantAt: 30443},
		"StaticNodes":   {reason: "Static addresses replace those of nodes, at the node port.", service: gatewayService(corev1.ServiceTypeNodePort, onNodes("{}", 30443), externalIPs("198.51.100.1")), want: []string{"198.51.100.1"}, wantAt: 30443},
		"NoNodes":       {reason: "No node has that label.", service: gatewayService(corev1.ServiceTypeNodePort, onNodes(`{"edge":"no"}`, 30443)), missing: "ExternalIP"},
		"NoNodePort":    {reason: "The API server has not chosen it yet.", service: gatewayService(corev1.ServiceTypeNodePort, onNodes("{}", 0)), missing: "node port"},
		"NoAnnotation":  {reason: "istiod does not look at nodes then.", service: gatewayService(corev1.ServiceTypeNodePort), missing: NodeSelector},
		"BadAnnotation": {reason: "It cannot be read.", service: gatewayService(corev1.ServiceTypeNodePort, onNodes("edge=true", 30443)), missing: "JSON"},
		"ClusterIP":     {reason: "Only with addresses.", service: gatewayService(corev1.ServiceTypeClusterIP), missing: "spec.gateway.addresses"},
		"Static":        {reason: "There they are.", service: gatewayService(corev1.ServiceTypeClusterIP, externalIPs("198.51.100.1")), want: []string{"198.51.100.1"}, wantAt: 15443},
		"OtherPort":     {reason: "istiod takes no Service for a gateway that lacks the port.", service: gatewayService(corev1.ServiceTypeLoadBalancer, ingress(corev1.LoadBalancerIngress{IP: "203.0.113.7"})), port: 443, missing: "no port 443"},
		"StaleStatus":   {reason: "The status of what was once a load balancer counts for nothing.", service: gatewayService(corev1.ServiceTypeClusterIP, ingress(corev1.LoadBalancerIngress{IP: "203.0.113.7"})), missing: "ClusterIP"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.port == 0 {
				tc.port = 15443
			}
			var want []meshv1alpha1.GatewayAddress
			for _, address := range tc.want {
				want = append(want, meshv1alpha1.GatewayAddress{Address: address, Port: tc.wantAt})
			}
			got, missing := Of(tc.service, nodes, tc.port)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if (missing == "") != (tc.missing == "") || !strings.Contains(missing, tc.missing) {
				t.Errorf("%s Missing: %q, want something about %q", tc.reason, missing, tc.missing)
			}
		})
	}
}

// TestOfOrMissing: there is always either an address or the way to one, and
// the order in which a cloud or the API server lists things makes no difference.
func TestOfOrMissing(t *testing.T) {
	ip := rapid.SampledFrom([]string{"203.0.113.1", "203.0.113.2", "203.0.113.3"})
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]corev1.ServiceType{corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP}).Draw(t, "type")
		s := gatewayService(kind, externalIPs(rapid.SliceOfN(ip, 0, 2).Draw(t, "externalIPs")...))
		for _, address := range rapid.SliceOfN(ip, 0, 3).Draw(t, "balancer") {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: address})
		}
		if rapid.Bool().Draw(t, "annotated") {
			onNodes(rapid.SampledFrom([]string{"{}", `{"edge":"true"}`, "{"}).Draw(t, "selector"), rapid.Int32Range(0, 1).Draw(t, "nodePort")*30443)(s)
		}
		var nodes []corev1.Node
		for range rapid.IntRange(0, 3).Draw(t, "nodes") {
			nodes = append(nodes, node("n", map[string]string{"edge": rapid.SampledFrom([]string{"true", "false"}).Draw(t, "edge")}, external(ip.Draw(t, "ip"))))
		}
		got, missing := Of(s, nodes, 15443)
		if (len(got) == 0) == (missing == "") {
			t.Fatalf("addresses %v, missing %q", got, missing)
		}
		slices.Reverse(s.Status.LoadBalancer.Ingress)
		slices.Reverse(s.Spec.ExternalIPs)
		slices.Reverse(nodes)
		again, _ := Of(s, nodes, 15443)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("the order matters:\n%s", diff)
		}
	})
}
