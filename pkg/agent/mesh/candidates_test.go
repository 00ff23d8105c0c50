package mesh

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
)

func TestCandidates(t *testing.T) {
	protocol := "kubernetes.io/h2c"
	service := func(namespace, name string, ports ...corev1.ServicePort) corev1.Service {
		return corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1", Ports: ports}}
	}
	var own ownServices
	own.set([]corev1.Service{
		service("shop", "web", corev1.ServicePort{Name: "metrics", Port: 9090}, corev1.ServicePort{Name: "http-main", Port: 80}),
		service("shop", "db", corev1.ServicePort{Name: "mysql", Port: 3306}),
		service("shop", "api", corev1.ServicePort{Name: "tls", Port: 443}, corev1.ServicePort{Name: "x", AppProtocol: &protocol, Port: 8443}),
		service("shop", "site", corev1.ServicePort{Name: "https", Port: 443}),
		service("shop", "dns", corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}),
		service("kube-system", "metrics", corev1.ServicePort{Name: "http", Port: 80}),
	}, "corp.example")
	assert.Equal(t, []probe.Candidate{
		{Name: "outbound_.80_._.web.shop.svc.corp.example", HTTP: true},
		{Name: "outbound_.3306_._.db.shop.svc.corp.example"},
		{Name: "outbound_.8443_._.api.shop.svc.corp.example", HTTP: true},
		{Name: "outbound_.443_._.site.shop.svc.corp.example"},
	}, own.candidates, "workloads that are waited for to speak do not notice a handshake")
	assert.Equal(t, "corp.example", domainOf([]string{"outbound_.80_._.web.shop.svc.corp.example"}))
	assert.Empty(t, domainOf(nil))
}
