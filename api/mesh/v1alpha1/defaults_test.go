package v1alpha1

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

func TestDefaults(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	hours := func(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Hour} }
	given := MeshSpec{
		Topology: "Other",
		Trust: MeshTrust{
			Mode: TrustExternal, TrustDomain: "example.org", RootGeneration: 7,
			IntermediateLifetime: hours(100), WorkloadCertificateLifetime: hours(1),
		},
		Gateway:       MeshGateway{Mode: GatewayAPI, ServiceType: corev1.ServiceTypeNodePort, Port: 443, Replicas: ptr.To[int32](3)},
		RemoteAccess:  MeshRemoteAccess{TokenTTL: hours(1), Secrets: SecretsNone},
		Links:         LinksPlacement,
		WithdrawAfter: hours(2),
	}
	cases := map[string]struct {
		reason string
		spec   MeshSpec
		want   MeshSpec
	}{
		"Empty": {reason: "What most people want.", want: MeshSpec{
			Topology: MultiPrimary,
			Trust: MeshTrust{
				Mode: TrustManaged, TrustDomain: "cluster.local", RootGeneration: 1,
				IntermediateLifetime: hours(8760), WorkloadCertificateLifetime: hours(24),
			},
			Gateway:       MeshGateway{Mode: GatewayService, ServiceType: corev1.ServiceTypeLoadBalancer, Port: 15443, Replicas: ptr.To[int32](1)},
			RemoteAccess:  MeshRemoteAccess{TokenTTL: hours(24), Secrets: SecretsRead},
			Links:         LinksAll,
			WithdrawAfter: &metav1.Duration{Duration: 5 * time.Minute},
		}},
		"Given": {reason: "Nothing that was given is changed.", spec: given, want: given},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			list := &MeshList{Items: []Mesh{{Spec: *tc.spec.DeepCopy()}}}
			scheme.Default(list)
			if diff := cmp.Diff(tc.want, list.Items[0].Spec); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	spec := MeshSpec{Networks: []MeshNetwork{{Name: "vpc-1", ClusterNames: []string{"eu", "ap"}}, {Name: "vpc-2", ClusterNames: []string{"sa"}}}}
	for cluster, want := range map[string]string{"eu": "vpc-1", "ap": "vpc-1", "sa": "vpc-2", "us": "network-us"} {
		if got := spec.Network(cluster); got != want {
			t.Errorf("network of %s: %s, want %s", cluster, got, want)
		}
	}
}
