package validation

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// summary is what tests look at: field and type of each error, not its words.
func summary(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Field+" "+string(err.Type))
	}
	return all
}

func validMesh() *meshv1alpha1.Mesh {
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}}
	mesh.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu", "us"}}
	meshv1alpha1.SetDefaults_Mesh(mesh)
	return mesh
}

func of(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func TestValidateMesh(t *testing.T) {
	type mesh = meshv1alpha1.Mesh
	ref := &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-system", Name: "ca"}
	network := func(name string, clusters ...string) meshv1alpha1.MeshNetwork {
		return meshv1alpha1.MeshNetwork{Name: name, ClusterNames: clusters}
	}
	cases := map[string]struct {
		reason string
		change func(*mesh)
		want   []string
	}{
		"Defaults":      {reason: "A Mesh needs no more than a name and its clusters.", change: func(*mesh) {}},
		"Name":          {reason: "It is the value of a label.", change: func(m *mesh) { m.Name = "a.b" }, want: []string{"metadata.name FieldValueInvalid"}},
		"LongName":      {reason: "63 characters are all that a label takes.", change: func(m *mesh) { m.Name = strings.Repeat("a", 64) }, want: []string{"metadata.name FieldValueInvalid"}},
		"PrimaryRemote": {reason: "It is not done yet, and nothing else is done in its place.", change: func(m *mesh) { m.Spec.Topology = "PrimaryRemote" }, want: []string{"spec.topology FieldValueNotSupported"}},
		"Links":         {reason: "There are two kinds.", change: func(m *mesh) { m.Spec.Links = "Some" }, want: []string{"spec.links FieldValueNotSupported"}},

		"NoAffinity": {reason: "Whoever joins the federation could read all.", change: func(m *mesh) { m.Spec.ClusterAffinity = nil }, want: []string{"spec.clusterAffinity FieldValueRequired"}},
		"EmptyAffinity": {reason: "It selects every cluster, too.", change: func(m *mesh) {
			m.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{}, FieldSelector: &policyv1alpha1.FieldSelector{}}
		}, want: []string{"spec.clusterAffinity FieldValueRequired"}},
		"OnlyExcluded": {reason: "Every other one that ever joins is in it.", change: func(m *mesh) {
			m.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ExcludeClusters: []string{"eu"}}
		}, want: []string{"spec.clusterAffinity FieldValueRequired"}},
		"Labels": {reason: "Somebody said which.", change: func(m *mesh) {
			m.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"mesh": "1"}}}
		}},

		"Networks": {reason: "Two networks, three clusters.", change: func(m *mesh) {
			m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("a", "eu", "ap"), network("b", "us")}
		}},
		"TwoNetworks":  {reason: "A cluster has one network.", change: func(m *mesh) { m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("a", "eu"), network("b", "eu")} }, want: []string{"spec.networks[1].clusterNames[0] FieldValueInvalid"}},
		"SameNetwork":  {reason: "Which of the two is meant?", change: func(m *mesh) { m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("a", "eu"), network("a", "us")} }, want: []string{"spec.networks[1].name FieldValueDuplicate"}},
		"NoNetwork":    {reason: "An empty label is no network for Istio.", change: func(m *mesh) { m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("")} }, want: []string{"spec.networks[0].name FieldValueRequired", "spec.networks[0].clusterNames FieldValueRequired"}},
		"BadNetwork":   {reason: "It is the value of a label.", change: func(m *mesh) { m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("a b", "e_u")} }, want: []string{"spec.networks[0].name FieldValueInvalid", "spec.networks[0].clusterNames[0] FieldValueInvalid"}},
		"NetworkOfUs":  {reason: "us would be in it without being listed, and get pod IPs it cannot reach.", change: func(m *mesh) { m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("network-us", "eu")} }, want: []string{"spec.networks[0].name FieldValueInvalid"}},
		"NetworkOfOwn": {reason: "us is listed.", change: func(m *mesh) { m.Spec.Networks = []meshv1alpha1.MeshNetwork{network("network-us", "us", "eu")} }},

		"External":      {reason: "The CA comes from a Secret.", change: func(m *mesh) { m.Spec.Trust.Mode, m.Spec.Trust.SecretRef = meshv1alpha1.TrustExternal, ref }},
		"ExternalNoRef": {reason: "From which?", change: func(m *mesh) { m.Spec.Trust.Mode = meshv1alpha1.TrustExternal }, want: []string{"spec.trust.secretRef FieldValueRequired"}},
		"ManagedRef":    {reason: "It would be ignored.", change: func(m *mesh) { m.Spec.Trust.SecretRef = ref }, want: []string{"spec.trust.secretRef FieldValueForbidden"}},
		"BadRef": {reason: "No Secret can have that name.", change: func(m *mesh) {
			m.Spec.Trust.Mode, m.Spec.Trust.SecretRef = meshv1alpha1.TrustExternal, &clusterv1alpha1.LocalSecretReference{Namespace: "A", Name: "b c"}
		}, want: []string{"spec.trust.secretRef.namespace FieldValueInvalid", "spec.trust.secretRef.name FieldValueInvalid"}},
		"TrustMode":    {reason: "There are two modes.", change: func(m *mesh) { m.Spec.Trust.Mode = "None" }, want: []string{"spec.trust.mode FieldValueNotSupported"}},
		"TrustDomain":  {reason: "It is part of a URI.", change: func(m *mesh) { m.Spec.Trust.TrustDomain = "a/b" }, want: []string{"spec.trust.trustDomain FieldValueInvalid"}},
		"Generation":   {reason: "Roots are counted from 1.", change: func(m *mesh) { m.Spec.Trust.RootGeneration = -1 }, want: []string{"spec.trust.rootGeneration FieldValueInvalid"}},
		"Intermediate": {reason: "It would end before what it signs.", change: func(m *mesh) { m.Spec.Trust.IntermediateLifetime = of(95 * time.Hour) }, want: []string{"spec.trust.intermediateLifetime FieldValueInvalid"}},
		"ShortLeafs": {reason: "With short certificates it may be short too.", change: func(m *mesh) {
			m.Spec.Trust.WorkloadCertificateLifetime, m.Spec.Trust.IntermediateLifetime = of(time.Minute), of(4*time.Minute)
		}},
		"NoLeafs": {reason: "A change of the root would not wait for workloads.", change: func(m *mesh) { m.Spec.Trust.WorkloadCertificateLifetime = of(0) }, want: []string{"spec.trust.workloadCertificateLifetime FieldValueInvalid"}},

		"LongLeafs":        {reason: "A change of the root would take years, and four times that is no time at all.", change: func(m *mesh) { m.Spec.Trust.WorkloadCertificateLifetime = of(math.MaxInt64) }, want: []string{"spec.trust.workloadCertificateLifetime FieldValueInvalid"}},
		"LongIntermediate": {reason: "Its root would end first.", change: func(m *mesh) { m.Spec.Trust.IntermediateLifetime = of(87601 * time.Hour) }, want: []string{"spec.trust.intermediateLifetime FieldValueInvalid"}},

		"NodePort": {reason: "Nodes are chosen by labels.", change: func(m *mesh) {
			m.Spec.Gateway.ServiceType, m.Spec.Gateway.NodePort, m.Spec.Gateway.NodeSelector = corev1.ServiceTypeNodePort, 30443, map[string]string{"a": "b"}
		}},
		"NodePortLB": {reason: "They would be ignored.", change: func(m *mesh) {
			m.Spec.Gateway.NodePort, m.Spec.Gateway.NodeSelector = 30443, map[string]string{"a": "b"}
		}, want: []string{"spec.gateway.nodePort FieldValueForbidden", "spec.gateway.nodeSelector FieldValueForbidden"}},
		"NodePortGW": {reason: "istiod would not find the nodes.", change: func(m *mesh) {
			m.Spec.Gateway.Mode, m.Spec.Gateway.ServiceType = meshv1alpha1.GatewayAPI, corev1.ServiceTypeNodePort
		}, want: []string{"spec.gateway.serviceType FieldValueInvalid"}},
		"ClusterIP":   {reason: "Nobody outside could reach it.", change: func(m *mesh) { m.Spec.Gateway.ServiceType = corev1.ServiceTypeClusterIP }, want: []string{"spec.gateway.addresses FieldValueRequired"}},
		"GatewayMode": {reason: "There are two modes.", change: func(m *mesh) { m.Spec.Gateway.Mode = "Envoy" }, want: []string{"spec.gateway.mode FieldValueNotSupported"}},
		"GatewayPort": {reason: "The gateway's own health is there.", change: func(m *mesh) { m.Spec.Gateway.Port = 15021 }, want: []string{"spec.gateway.port FieldValueInvalid"}},
		"EnvoyPort":   {reason: "The sidecar takes what comes in there.", change: func(m *mesh) { m.Spec.Gateway.Port = 15006 }, want: []string{"spec.gateway.port FieldValueInvalid"}},
		"NoPort":      {reason: "That is none.", change: func(m *mesh) { m.Spec.Gateway.Port = 70000 }, want: []string{"spec.gateway.port FieldValueInvalid"}},
		"ReplicasGW": {reason: "It would be ignored.", change: func(m *mesh) {
			m.Spec.Gateway.Mode, m.Spec.Gateway.Replicas = meshv1alpha1.GatewayAPI, ptr.To[int32](2)
		}, want: []string{"spec.gateway.replicas FieldValueInvalid"}},
		"AddressGW": {reason: "It is the one that its Service asks for.", change: func(m *mesh) {
			m.Spec.Gateway.Mode = meshv1alpha1.GatewayAPI
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7"}}}
		}},
		"AddressesGW": {reason: "istiod would make no Service.", change: func(m *mesh) {
			m.Spec.Gateway.Mode = meshv1alpha1.GatewayAPI
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7", "203.0.113.8"}}}
		}, want: []string{"spec.gateway.addresses[0].addresses FieldValueInvalid"}},
		"NoReplicas": {reason: "Istio fails open without a gateway.", change: func(m *mesh) { m.Spec.Gateway.Replicas = ptr.To[int32](0) }, want: []string{"spec.gateway.replicas FieldValueInvalid"}},
		"Annotation": {reason: "Kubernetes would refuse the Service.", change: func(m *mesh) { m.Spec.Gateway.Annotations = map[string]string{"a b": "c"} }, want: []string{"spec.gateway.annotations FieldValueInvalid"}},
		"Reserved": {reason: "With one of them a Service of somebody else would be overwritten.", change: func(m *mesh) {
			m.Spec.Gateway.Annotations = map[string]string{"work.karmada.io/conflict-resolution": "overwrite", "karmada.io/x": "", "mesh.flotilla.io/stub": "true", "traffic.istio.io/nodeSelector": "{}", "notkarmada.io/x": "", "service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
		}, want: []string{
			"spec.gateway.annotations[karmada.io/x] FieldValueForbidden", "spec.gateway.annotations[mesh.flotilla.io/stub] FieldValueForbidden",
			"spec.gateway.annotations[traffic.istio.io/nodeSelector] FieldValueForbidden", "spec.gateway.annotations[work.karmada.io/conflict-resolution] FieldValueForbidden",
		}},
		"Addresses": {reason: "IPv4 and IPv6.", change: func(m *mesh) {
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7", "2001:db8::7"}}}
		}},
		"BadAddresses": {reason: "Kubernetes takes IPs only, and peers must reach them.", change: func(m *mesh) {
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"gw.example.org", "127.0.0.1"}}, {ClusterName: "eu"}}
		}, want: []string{"spec.gateway.addresses[0].addresses[0] FieldValueInvalid", "spec.gateway.addresses[0].addresses[1] FieldValueInvalid", "spec.gateway.addresses[1].clusterName FieldValueDuplicate", "spec.gateway.addresses[1].addresses FieldValueRequired"}},

		"TokenTTL":     {reason: "Kubernetes makes no shorter tokens.", change: func(m *mesh) { m.Spec.RemoteAccess.TokenTTL = of(9 * time.Minute) }, want: []string{"spec.remoteAccess.tokenTTL FieldValueInvalid"}},
		"LongToken":    {reason: "That is no rotation.", change: func(m *mesh) { m.Spec.RemoteAccess.TokenTTL = of(721 * time.Hour) }, want: []string{"spec.remoteAccess.tokenTTL FieldValueInvalid"}},
		"SecretAccess": {reason: "There are two ways.", change: func(m *mesh) { m.Spec.RemoteAccess.Secrets = "Write" }, want: []string{"spec.remoteAccess.secrets FieldValueNotSupported"}},
		"Servers": {reason: "A token must not go over plain HTTP, nor a password into a URL.", change: func(m *mesh) {
			m.Spec.RemoteAccess.Servers = []meshv1alpha1.MeshServer{{ClusterName: "eu", URL: "http://eu"}, {ClusterName: "ap", URL: "https://a:b@ap"}, {ClusterName: "ap", URL: "https://ap:6443"}, {ClusterName: "us"}}
		}, want: []string{"spec.remoteAccess.servers[0].url FieldValueInvalid", "spec.remoteAccess.servers[1].url FieldValueInvalid", "spec.remoteAccess.servers[2].clusterName FieldValueDuplicate", "spec.remoteAccess.servers[3].url FieldValueRequired"}},
		"Withdraw": {reason: "Connections break now and then.", change: func(m *mesh) { m.Spec.WithdrawAfter = of(time.Second) }, want: []string{"spec.withdrawAfter FieldValueInvalid"}},

		"WithdrawLate": {reason: "Requests would go to a lost cluster for ever.", change: func(m *mesh) { m.Spec.WithdrawAfter = of(25 * time.Hour) }, want: []string{"spec.withdrawAfter FieldValueInvalid"}},
		"ServerURLs": {reason: "They would be part of every URL, or fill every remote secret.", change: func(m *mesh) {
			m.Spec.RemoteAccess.Servers = []meshv1alpha1.MeshServer{{ClusterName: "eu", URL: "https://eu?"}, {ClusterName: "ap", URL: "https://ap/" + strings.Repeat("a", 2048)}}
		}, want: []string{"spec.remoteAccess.servers[0].url FieldValueInvalid", "spec.remoteAccess.servers[1].url FieldValueTooLong"}},

		"Failover": {reason: "One region that comes first, per region.", change: func(m *mesh) {
			m.Spec.Failover = &meshv1alpha1.MeshFailover{Regions: []meshv1alpha1.RegionFailover{{From: "eu", To: []string{"us"}}, {From: "us", To: []string{"eu"}}}}
		}},
		"NoFailover": {reason: "It says nothing.", change: func(m *mesh) { m.Spec.Failover = &meshv1alpha1.MeshFailover{} }, want: []string{"spec.failover.regions FieldValueRequired"}},
		"BadFailover": {reason: "Each region once, and never to itself.", change: func(m *mesh) {
			m.Spec.Failover = &meshv1alpha1.MeshFailover{Regions: []meshv1alpha1.RegionFailover{{From: "eu", To: []string{"eu"}}, {From: "eu"}, {To: []string{"eu"}}, {From: "ap", To: []string{"us", "eu"}}, {From: "us", To: []string{""}}}}
		}, want: []string{
			"spec.failover.regions[0].to[0] FieldValueInvalid", "spec.failover.regions[1].from FieldValueDuplicate", "spec.failover.regions[1].to FieldValueRequired",
			"spec.failover.regions[2].from FieldValueRequired", "spec.failover.regions[3].to FieldValueInvalid", "spec.failover.regions[4].to[0] FieldValueRequired",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := validMesh()
			tc.change(m)
			if diff := cmp.Diff(tc.want, summary(ValidateMesh(m))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestValidateMeshUpdate(t *testing.T) {
	type mesh = meshv1alpha1.Mesh
	cases := map[string]struct {
		reason string
		change func(old, m *mesh)
		want   []string
	}{
		"Labels": {reason: "What was stored under older rules can still be labelled.", change: func(old, m *mesh) {
			old.Spec.Links, m.Spec.Links, m.Labels = "Some", "Some", map[string]string{"a": "b"}
		}},
		"NextRoot":    {reason: "The root is to be changed.", change: func(_, m *mesh) { m.Spec.Trust.RootGeneration = 4 }},
		"SkippedRoot": {reason: "One after another.", change: func(_, m *mesh) { m.Spec.Trust.RootGeneration = 5 }, want: []string{"spec.trust.rootGeneration FieldValueInvalid"}},
		"OlderRoot":   {reason: "It is forgotten.", change: func(_, m *mesh) { m.Spec.Trust.RootGeneration = 2 }, want: []string{"spec.trust.rootGeneration FieldValueInvalid"}},
		"TrustDomain": {reason: "No workload would be who it was.", change: func(_, m *mesh) { m.Spec.Trust.TrustDomain = "example.org" }, want: []string{"spec.trust.trustDomain FieldValueInvalid"}},
		"ExternalRoot": {reason: "The Secret says which root.", change: func(_, m *mesh) {
			m.Spec.Trust.Mode, m.Spec.Trust.RootGeneration = meshv1alpha1.TrustExternal, 4
			m.Spec.Trust.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "a", Name: "b"}
		}, want: []string{"spec.trust.rootGeneration FieldValueForbidden"}},
		"AnotherGateway": {reason: "Peers would be without one meanwhile.", change: func(old, m *mesh) {
			old.Status.Links = []meshv1alpha1.MeshLink{{From: "eu", To: "us"}}
			m.Spec.Gateway.Mode, m.Spec.Gateway.Port = meshv1alpha1.GatewayAPI, 15444
		}, want: []string{"spec.gateway.mode FieldValueInvalid", "spec.gateway.port FieldValueInvalid"}},
		"OtherAddresses": {reason: "The ones that peers use would go.", change: func(old, m *mesh) {
			old.Status.Links = []meshv1alpha1.MeshLink{{From: "eu", To: "us"}}
			m.Spec.Gateway.ServiceType = corev1.ServiceTypeNodePort
		}, want: []string{"spec.gateway.serviceType FieldValueInvalid"}},
		"GatewayOfNobody": {reason: "Nothing is linked.", change: func(_, m *mesh) {
			m.Spec.Gateway.Mode, m.Spec.Gateway.Port = meshv1alpha1.GatewayAPI, 15444
		}},
		"GatewayStays": {reason: "The rest of it may change.", change: func(old, m *mesh) {
			old.Status.Links = []meshv1alpha1.MeshLink{{From: "eu", To: "us"}}
			m.Spec.Gateway.Replicas = ptr.To[int32](3)
		}},
		"NewAddresses": {reason: "istiod goes back to nodes when one changes.", change: func(old, m *mesh) {
			old.Spec.Gateway.ServiceType, m.Spec.Gateway.ServiceType = corev1.ServiceTypeNodePort, corev1.ServiceTypeNodePort
			old.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "us", Addresses: []string{"203.0.113.7"}}}
			old.Status.Links = []meshv1alpha1.MeshLink{{From: "eu", To: "us"}}
			at := []meshv1alpha1.GatewayAddress{{Address: "203.0.113.1", Port: 30443}}
			old.Status.Clusters = []meshv1alpha1.MeshCluster{{Name: "ap"}, {Name: "eu", GatewayAddresses: at}, {Name: "us", GatewayAddresses: at}}
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{
				{ClusterName: "ap", Addresses: []string{"203.0.113.6"}}, {ClusterName: "us", Addresses: []string{"203.0.113.8"}}, {ClusterName: "eu", Addresses: []string{"203.0.113.9"}},
			}
		}, want: []string{"spec.gateway.addresses[2] FieldValueForbidden"}},
		"AddressesPutBack": {reason: "They were taken out by mistake, and peers know them still.", change: func(old, m *mesh) {
			old.Spec.Gateway.ServiceType, m.Spec.Gateway.ServiceType = corev1.ServiceTypeNodePort, corev1.ServiceTypeNodePort
			old.Status.Links = []meshv1alpha1.MeshLink{{From: "eu", To: "us"}}
			at := []meshv1alpha1.GatewayAddress{{Address: "203.0.113.1", Port: 30443}, {Address: "203.0.113.2", Port: 30443}}
			old.Status.Clusters = []meshv1alpha1.MeshCluster{{Name: "ap", GatewayAddresses: at}, {Name: "eu", GatewayAddresses: at}, {Name: "us", GatewayAddresses: at}}
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{
				{ClusterName: "us", Addresses: []string{"203.0.113.2", "203.0.113.1"}}, {ClusterName: "ap", Addresses: []string{"203.0.113.1"}},
				{ClusterName: "eu", Addresses: []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"}},
			}
		}, want: []string{"spec.gateway.addresses[1] FieldValueForbidden", "spec.gateway.addresses[2] FieldValueForbidden"}},
		"StoredAddressesGW": {reason: "They were stored before they were refused; the rest may change, and they may not.", change: func(old, m *mesh) {
			old.Spec.Gateway.Mode, m.Spec.Gateway.Mode = meshv1alpha1.GatewayAPI, meshv1alpha1.GatewayAPI
			old.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7", "203.0.113.8"}}, {ClusterName: "us", Addresses: []string{"203.0.113.9"}}}
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "us", Addresses: []string{"203.0.113.9", "203.0.113.10"}}, {ClusterName: "eu", Addresses: []string{"203.0.113.7", "203.0.113.8"}}}
		}, want: []string{"spec.gateway.addresses[0].addresses FieldValueInvalid"}},
		"AddressesOfServiceGW": {reason: "Only from now on is there a Gateway.", change: func(old, m *mesh) {
			m.Spec.Gateway.Mode = meshv1alpha1.GatewayAPI
			old.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "eu", Addresses: []string{"203.0.113.7", "203.0.113.8"}}}
			m.Spec.Gateway.Addresses = old.Spec.Gateway.Addresses
		}, want: []string{"spec.gateway.addresses[0].addresses FieldValueInvalid"}},
		"NewAddressesOfABalancer": {reason: "They come on top.", change: func(old, m *mesh) {
			old.Status.Links = []meshv1alpha1.MeshLink{{From: "eu", To: "us"}}
			old.Status.Clusters = []meshv1alpha1.MeshCluster{{Name: "us", GatewayAddresses: []meshv1alpha1.GatewayAddress{{Address: "203.0.113.1", Port: 15443}}}}
			m.Spec.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "us", Addresses: []string{"203.0.113.8"}}}
		}},
		"Invalid": {reason: "The rest is checked too.", change: func(_, m *mesh) { m.Spec.Links = "" }, want: []string{"spec.links FieldValueNotSupported"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			old := validMesh()
			old.Spec.Trust.RootGeneration = 3
			m := old.DeepCopy()
			tc.change(old, m)
			if diff := cmp.Diff(tc.want, summary(ValidateMeshUpdate(m, old))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A Mesh made anew finds the root of the former one, of a higher number than it asks
// for, and so does one that takes its root from a Secret no more.
func TestRootOfAHigherNumber(t *testing.T) {
	cases := map[string]struct {
		reason          string
		external        bool // before
		there, was, now int64
		want            string // in the message; empty: allowed
	}{
		"Nothing":         {reason: "It is as it was.", there: 3, was: 1, now: 1},
		"There":           {reason: "The mesh has that one: whoever asks for it believes that the root changes.", there: 3, was: 1, now: 3, want: "write 4"},
		"Below":           {reason: "So it is with an older one.", there: 3, was: 1, now: 2, want: "write 4"},
		"Next":            {reason: "One more than there is.", there: 3, was: 1, now: 4},
		"TooFar":          {reason: "One after another.", there: 3, was: 1, now: 5, want: "write 4"},
		"Asked":           {reason: "What was asked for and has not begun counts.", there: 3, was: 4, now: 6, want: "write 5"},
		"ManagedAsItIs":   {reason: "The root of the Secret would stay in force.", external: true, there: 2, was: 1, now: 1, want: "has to be 3"},
		"ManagedBelow":    {reason: "It would stay as well.", external: true, there: 2, was: 1, now: 2, want: "has to be 3"},
		"ManagedNext":     {reason: "Another root is made.", external: true, there: 2, was: 1, now: 3},
		"ManagedAtOnce":   {reason: "There is no root yet that could stay.", external: true, was: 1, now: 1},
		"ManagedFirstOne": {reason: "Not even the first.", external: true, there: 1, was: 1, now: 1, want: "has to be 2"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			old := validMesh()
			old.Spec.Trust.RootGeneration = tc.was
			if tc.there > 0 {
				old.Status.Trust = &meshv1alpha1.MeshTrustStatus{RootGeneration: tc.there}
			}
			m := old.DeepCopy()
			m.Spec.Trust.RootGeneration = tc.now
			m.Spec.WithdrawAfter = of(time.Hour) // something else changes, too
			if tc.external {
				old.Spec.Trust.Mode, old.Spec.Trust.SecretRef = meshv1alpha1.TrustExternal, &clusterv1alpha1.LocalSecretReference{Namespace: "a", Name: "b"}
			}
			errs := ValidateMeshUpdate(m, old)
			if tc.want == "" && len(errs) > 0 {
				t.Errorf("%s %v", tc.reason, errs)
			}
			if tc.want != "" && (len(errs) != 1 || errs[0].Field != "spec.trust.rootGeneration" || !strings.Contains(errs[0].Error(), tc.want)) {
				t.Errorf("%s Want %q in %v", tc.reason, tc.want, errs)
			}
		})
	}
}

func TestValidateMeshStatus(t *testing.T) {
	m := validMesh()
	m.Status.Clusters = []meshv1alpha1.MeshCluster{{Name: "eu"}, {}}
	m.Status.Links = []meshv1alpha1.MeshLink{{From: "eu"}}
	m.Status.Conditions = []metav1.Condition{{Type: "Ready"}}
	want := []string{
		"status.conditions[0].status FieldValueNotSupported", "status.conditions[0].lastTransitionTime FieldValueRequired", "status.conditions[0].reason FieldValueRequired",
		"status.clusters[1].name FieldValueRequired", "status.links[0].to FieldValueRequired",
	}
	if diff := cmp.Diff(want, summary(ValidateMeshStatusUpdate(m, m))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
