package gateway

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway/address"
)

var update = flag.Bool("update", false, "write the goldens anew")

func defaulted(change func(*meshv1alpha1.MeshSpec)) *meshv1alpha1.MeshSpec {
	mesh := &meshv1alpha1.Mesh{}
	meshv1alpha1.SetDefaults_Mesh(mesh)
	change(&mesh.Spec)
	return &mesh.Spec
}

// TestObjects compares with goldens; go test -update writes them.
func TestObjects(t *testing.T) {
	eu := Cluster{Mesh: "mesh1", Name: "eu", Network: "network-eu"}
	static := []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7"}}, {ClusterName: "ap", Addresses: []string{"203.0.113.8"}}}
	cases := map[string]struct {
		reason string
		change func(*meshv1alpha1.MeshSpec)
	}{
		"service": {reason: "The defaults.", change: func(*meshv1alpha1.MeshSpec) {}},
		"nodeport": {reason: "Nodes are the addresses; the port is another.", change: func(s *meshv1alpha1.MeshSpec) {
			s.Gateway.ServiceType, s.Gateway.Port, s.Gateway.NodePort = corev1.ServiceTypeNodePort, 443, 30443
			s.Gateway.NodeSelector = map[string]string{"edge": "true"}
		}},
		"static": {reason: "Two replicas, addresses from the Mesh, a revision.", change: func(s *meshv1alpha1.MeshSpec) {
			s.Gateway.ServiceType, s.Gateway.Replicas = corev1.ServiceTypeClusterIP, ptr.To[int32](2)
			s.Gateway.Addresses, s.Gateway.Revision = static, "1-31"
			s.Gateway.Annotations = map[string]string{"example.org/lb": "internal"}
		}},
		"gatewayapi": {reason: "One object.", change: func(s *meshv1alpha1.MeshSpec) {
			s.Gateway.Mode, s.Gateway.Addresses, s.Gateway.Annotations = meshv1alpha1.GatewayAPI, static, map[string]string{"example.org/lb": "internal"}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			spec := defaulted(tc.change)
			var got bytes.Buffer
			for _, object := range append([]runtime.Object{Namespace(eu)}, Objects(&spec.Gateway, eu)...) {
				text, err := yaml.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				got.WriteString("---\n")
				got.Write(text)
			}
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-golden +got); -update accepts it:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestObjectsBelongTogether: Service, Deployment and exposure choose the same
// pods, everything is in istio-system and has the Mesh's label, and the port is
// the same everywhere.
func TestObjectsBelongTogether(t *testing.T) {
	for _, port := range []int32{15443, 443} {
		spec := defaulted(func(s *meshv1alpha1.MeshSpec) { s.Gateway.Port = port })
		var pods map[string]string
		var service *corev1.Service
		var exposure *networkingv1.Gateway
		for _, object := range Objects(&spec.Gateway, Cluster{Mesh: "mesh1", Name: "eu", Network: "vpc"}) {
			accessor, err := meta.Accessor(object)
			if err != nil {
				t.Fatal(err)
			}
			kind := object.GetObjectKind().GroupVersionKind()
			if kind.Kind == "" || accessor.GetNamespace() != "istio-system" || accessor.GetLabels()[meshv1alpha1.MeshLabel] != "mesh1" {
				t.Errorf("%s %s/%s: labels %v", kind, accessor.GetNamespace(), accessor.GetName(), accessor.GetLabels())
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			if err != nil {
				t.Fatal(err)
			}
			switch o := object.(type) {
			case *corev1.Service:
				service = o
			case *networkingv1.Gateway:
				exposure = o
			default:
				if kind.Kind == "Deployment" {
					template := content["spec"].(map[string]any)["template"].(map[string]any)["metadata"].(map[string]any)["labels"].(map[string]any)
					pods = map[string]string{}
					for k, v := range template {
						pods[k] = v.(string)
					}
				}
			}
		}
		for _, selector := range []map[string]string{service.Spec.Selector, exposure.Spec.Selector} {
			for key, value := range selector {
				if pods[key] != value {
					t.Errorf("%s=%s chooses no pod of the gateway, which has %v", key, value, pods)
				}
			}
		}
		service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.7"}}
		addresses, missing := address.Of(service, nil, spec.Gateway.Port)
		want := []meshv1alpha1.GatewayAddress{{Address: "203.0.113.7", Port: port}}
		if diff := cmp.Diff(want, addresses); diff != "" || missing != "" {
			t.Errorf("missing %q, addresses (-want +got):\n%s", missing, diff)
		}
		if got := exposure.Spec.Servers[0].Port.Number; got != uint32(port) {
			t.Errorf("exposed at port %d, want %d", got, port)
		}
	}
}

func TestNeeded(t *testing.T) {
	flat := defaulted(func(s *meshv1alpha1.MeshSpec) {
		s.Networks = []meshv1alpha1.MeshNetwork{{Name: "vpc", ClusterNames: []string{"eu", "ap"}}}
	})
	cases := map[string]struct {
		reason  string
		cluster string
		peers   []string
		want    bool
	}{
		"Alone":    {reason: "Nobody calls it.", cluster: "eu", peers: []string{"eu"}},
		"Flat":     {reason: "Pods reach each other.", cluster: "eu", peers: []string{"eu", "ap"}},
		"Mixed":    {reason: "us is elsewhere.", cluster: "eu", peers: []string{"ap", "us"}, want: true},
		"Unlisted": {reason: "Networks are one per cluster unless said otherwise.", cluster: "us", peers: []string{"sa"}, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Needed(flat, tc.cluster, tc.peers); got != tc.want {
				t.Errorf("%s Got %v", tc.reason, got)
			}
		})
	}
}

func TestStatic(t *testing.T) {
	spec := defaulted(func(s *meshv1alpha1.MeshSpec) {
		s.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7"}}}
	})
	if got := Static(&spec.Gateway, "eu"); got != nil {
		t.Errorf("the Service has them already: %v", got)
	}
	spec.Gateway.Mode = meshv1alpha1.GatewayAPI
	want := []meshv1alpha1.GatewayAddress{{Address: "203.0.113.7", Port: 15443}}
	if diff := cmp.Diff(want, Static(&spec.Gateway, "eu")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Static(&spec.Gateway, "ap"); got != nil {
		t.Errorf("of another cluster: %v", got)
	}
}
