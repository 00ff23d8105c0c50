package byhand

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// member is a cluster of the playground, and its Istio, joined by hand: what a
// person does with the guides, so that istiod is learned about apart from
// meshlink.
type member struct {
	name, network string
	config        *rest.Config
	core          kubernetes.Interface
	istiod        *istiolab.Istiod
}

const (
	reader      = "istio-reader-service-account"
	gatewayName = "istio-eastwestgateway"
	networkKey  = "topology.istio.io/network"
)

func newMember(name, network, kubeconfig string) (*member, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	core, err := kubernetes.NewForConfig(config)
	return &member{name: name, network: network, config: config, core: core}, err
}

// label says which network the pods of the member are in.
func (m *member) label(ctx context.Context, network string) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, networkKey, network)
	_, err := m.core.CoreV1().Namespaces().Patch(ctx, istiolab.Namespace, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	return err
}

// cacerts gives the member its CA.
func (m *member) cacerts(ctx context.Context, files map[string][]byte) error {
	secrets := m.core.CoreV1().Secrets(istiolab.Namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cacerts"}, Data: files}
	if _, err := secrets.Get(ctx, secret.Name, metav1.GetOptions{}); err != nil {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
		return err
	}
	_, err := secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

// expose makes the east-west gateway's objects: ServiceAccount, Service and
// Gateway. Its address comes later.
func (m *member) expose(ctx context.Context) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: gatewayName}}
	if _, err := m.core.CoreV1().ServiceAccounts(istiolab.Namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return err
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: gatewayName, Labels: map[string]string{"istio": "eastwestgateway", networkKey: m.network}},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"istio": "eastwestgateway"}},
	}
	for name, port := range map[string]int32{"status-port": 15021, "tls": traffic.GatewayPort, "tls-istiod": 15012, "tls-webhook": 15017} {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: name, Port: port, TargetPort: intstr.FromInt32(port)})
	}
	if _, err := m.core.CoreV1().Services(istiolab.Namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	gateway := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "Gateway",
		"metadata": map[string]any{"name": "cross-network-gateway"},
		"spec": map[string]any{
			"selector": map[string]any{"istio": "eastwestgateway"},
			"servers": []any{map[string]any{
				"port":  map[string]any{"number": int64(traffic.GatewayPort), "name": "tls", "protocol": "TLS"},
				"tls":   map[string]any{"mode": "AUTO_PASSTHROUGH"},
				"hosts": []any{"*.local"},
			}},
		},
	}}
	client, err := dynamic.NewForConfig(m.config)
	if err != nil {
		return err
	}
	gateways := schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "gateways"}
	_, err = client.Resource(gateways).Namespace(istiolab.Namespace).Create(ctx, gateway, metav1.CreateOptions{})
	return err
}

// address gives the gateway's Service an address, as a load balancer does.
func (m *member) address(ctx context.Context, ip string) error {
	patch := fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, ip)
	_, err := m.core.CoreV1().Services(istiolab.Namespace).Patch(ctx, gatewayName, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status")
	return err
}

// reading makes the account that peers read this member with: of ConfigMaps one,
// unlike Istio's stock role, and no Secrets unless more says so.
func (m *member) reading(ctx context.Context, more ...rbacv1.PolicyRule) error {
	read := []string{"get", "list", "watch"}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: reader}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces", "services", "pods", "nodes"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: read},
		{APIGroups: []string{"networking.istio.io"}, Resources: []string{"workloadentries"}, Verbs: read},
		{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"gateways"}, Verbs: read},
		// The mesh configuration alone; without it the peer is never synced.
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"istio"}, Verbs: read},
	}}
	role.Rules = append(role.Rules, more...)
	if _, err := m.core.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: reader}}
	if _, err := m.core.CoreV1().ServiceAccounts(istiolab.Namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: reader},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: reader},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: istiolab.Namespace, Name: reader}},
	}
	_, err := m.core.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	return err
}

// remoteSecret lets this member's istiod read a peer.
func (m *member) remoteSecret(ctx context.Context, peer *member, ttl time.Duration) error {
	seconds := int64(ttl.Seconds())
	token, err := peer.core.CoreV1().ServiceAccounts(istiolab.Namespace).CreateToken(ctx, reader,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	ca, err := certificatesOf(peer.config)
	if err != nil {
		return err
	}
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{peer.name: {Server: peer.config.Host, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{peer.name: {Token: token.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{peer.name: {Cluster: peer.name, AuthInfo: peer.name}},
		CurrentContext: peer.name,
	})
	if err != nil {
		return err
	}
	_, err = m.core.CoreV1().Secrets(istiolab.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "istio-remote-secret-" + peer.name,
			Labels:      map[string]string{"istio/multiCluster": "true"},
			Annotations: map[string]string{"networking.istio.io/cluster": peer.name},
		},
		Data: map[string][]byte{peer.name: kubeconfig},
	}, metav1.CreateOptions{})
	return err
}

// secrets are what istiod wants to read in a peer, too, or else the peer is never
// synced; see the package's documentation.
var secrets = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "watch"}}

// certificatesOf are those that a client trusts, from a file or inline.
func certificatesOf(config *rest.Config) ([]byte, error) {
	copied := rest.CopyConfig(config)
	err := rest.LoadTLSFiles(copied)
	return copied.CAData, err
}
