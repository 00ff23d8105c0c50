package proof

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

func TestSynced(t *testing.T) {
	own := istiod.Cluster{ID: "eu", SyncStatus: "synced"}
	ap := func(state string) []istiod.Cluster {
		return []istiod.Cluster{own, {ID: "ap", SecretName: "istio-system/istio-remote-secret-ap", SyncStatus: state}}
	}
	cases := map[string]struct {
		reason   string
		clusters []istiod.Cluster
		lately   bool
		want     string
	}{
		"Synced":    {reason: "What is wanted.", clusters: ap("synced")},
		"Lately":    {reason: "It may mean the token before.", clusters: ap("synced"), lately: true, want: "SecretChanged"},
		"Syncing":   {reason: "Not yet.", clusters: ap("syncing"), want: "NotSynced"},
		"Closed":    {reason: "istiod has let go of it.", clusters: ap("closed"), want: "NotSynced"},
		"Timeout":   {reason: "It goes on trying, but says so.", clusters: ap("timeout"), want: "Timeout"},
		"Absent":    {reason: "Its secret was not read.", clusters: []istiod.Cluster{own}, want: "NotKnown"},
		"Nothing":   {reason: "clusterz can be null.", want: "NotKnown"},
		"Foreign":   {reason: "Another secret has the cluster; ours is ignored by istiod.", clusters: []istiod.Cluster{{ID: "ap", SecretName: "istio-system/other", SyncStatus: "synced"}}, want: "ForeignSecret"},
		"SameAsOwn": {reason: "istiod of this cluster calls itself ap: that is no peer.", clusters: []istiod.Cluster{{ID: "ap", SyncStatus: "synced"}}, want: "NotKnown"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Synced(tc.clusters, "ap", "istio-remote-secret-ap", !tc.lately)
			assert.Equal(t, tc.want, got.Reason, tc.reason)
			assert.Equal(t, tc.want == "", got.Passed, tc.reason)
			assert.Equal(t, tc.want != "", got.Message != "", "what is wrong is said")
		})
	}
	assert.Equal(t, "eu", OwnCluster(ap("synced")))
	assert.Empty(t, OwnCluster(nil))
}

func TestGateways(t *testing.T) {
	at := func(address string) meshv1alpha1.GatewayAddress {
		return meshv1alpha1.GatewayAddress{Address: address, Port: 15443}
	}
	gateway := func(cluster, network, address string) istiod.Gateway {
		return istiod.Gateway{Cluster: cluster, Network: network, Addr: address, Port: 15443}
	}
	cases := map[string]struct {
		reason string
		known  []istiod.Gateway
		wanted []meshv1alpha1.GatewayAddress
		passes bool
	}{
		"Known":        {reason: "All are.", known: []istiod.Gateway{gateway("ap", "n-ap", "1.1.1.1"), gateway("ap", "n-ap", "2.2.2.2")}, wanted: []meshv1alpha1.GatewayAddress{at("1.1.1.1"), at("2.2.2.2")}, passes: true},
		"OneMissing":   {reason: "Traffic would not be spread as it should.", known: []istiod.Gateway{gateway("ap", "n-ap", "1.1.1.1")}, wanted: []meshv1alpha1.GatewayAddress{at("1.1.1.1"), at("2.2.2.2")}},
		"None":         {reason: "networkz is null.", wanted: []meshv1alpha1.GatewayAddress{at("1.1.1.1")}},
		"OtherNetwork": {reason: "The same address for another network is not this gateway.", known: []istiod.Gateway{gateway("ap", "n-us", "1.1.1.1")}, wanted: []meshv1alpha1.GatewayAddress{at("1.1.1.1")}},
		"OtherPort":    {reason: "Nor is another port.", known: []istiod.Gateway{{Cluster: "ap", Network: "n-ap", Addr: "1.1.1.1", Port: 443}}, wanted: []meshv1alpha1.GatewayAddress{at("1.1.1.1")}},
		"SharedByNetwork": {
			reason: "A cluster without a gateway of its own is reached through one of its network.",
			known:  []istiod.Gateway{gateway("us", "n-ap", "1.1.1.1")}, wanted: []meshv1alpha1.GatewayAddress{at("1.1.1.1")}, passes: true,
		},
		"Resolved":    {reason: "istiod shows what a name resolves to.", known: []istiod.Gateway{gateway("ap", "n-ap", "9.9.9.9")}, wanted: []meshv1alpha1.GatewayAddress{at("lb.example.com")}, passes: true},
		"NotResolved": {reason: "The address is that of the other gateway.", known: []istiod.Gateway{gateway("ap", "n-ap", "1.1.1.1")}, wanted: []meshv1alpha1.GatewayAddress{at("lb.example.com"), at("1.1.1.1")}},
		"NoneWanted":  {reason: "Nothing is missing.", passes: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Gateways(tc.known, "ap", "n-ap", tc.wanted)
			assert.Equal(t, tc.passes, got.Passed, "%s %s", tc.reason, got.Message)
			assert.Equal(t, !tc.passes, got.Message != "")
		})
	}
}

func pod(network, ip, tls string) istiod.Pod {
	return istiod.Pod{Addresses: []string{ip}, ServicePortName: "http", EndpointPort: 8080, Network: network, TLSMode: tls}
}

func TestEndpoints(t *testing.T) {
	gateways := []istiod.Gateway{{Network: "n-ap", Cluster: "ap", Addr: "127.0.0.9", Port: 15443}, {Network: "n-us", Cluster: "us", Addr: "127.0.0.8", Port: 15443}}
	const through, astray, euPod, apPod = istiod.Endpoint("127.0.0.9:15443"), istiod.Endpoint("127.0.0.8:15443"), "10.1.0.1:8080", "10.2.0.1:8080"
	hello := func(pods Pods, endpoints ...istiod.Endpoint) Looked {
		return Looked{Host: "hello.default.svc.cluster.local", Port: 80, Pods: pods, Endpoints: endpoints}
	}
	apart := Pods{Peer: map[string]int{apPod: 1}, Direct: map[string]int{euPod: 1}}
	same := Pods{Peer: map[string]int{euPod: 1}, Direct: map[string]int{euPod: 1}}
	cases := map[string]struct {
		reason string
		looked []Looked
		flat   bool
		want   string
		passes bool
	}{
		"Through":        {reason: "Own pods and the gateway.", looked: []Looked{hello(apart, euPod, through)}, passes: true},
		"Raw":            {reason: "Istio fails open without a gateway.", looked: []Looked{hello(apart, euPod, apPod)}, want: "PodAddresses"},
		"Both":           {reason: "The gateway does not make the pod's address right.", looked: []Looked{hello(apart, through, apPod)}, want: "PodAddresses"},
		"SameAddresses":  {reason: "Networks apart number their pods alike: the address is that of the own pod.", looked: []Looked{hello(same, euPod, through)}, passes: true},
		"SameAddressRaw": {reason: "It is there once more than own pods explain.", looked: []Looked{hello(same, euPod, euPod, through)}, want: "PodAddresses"},
		"OthersGateway":  {reason: "The gateway of another network does not lead there.", looked: []Looked{hello(apart, euPod, astray)}, want: "NoGateway"},
		"Nothing":        {reason: "Nobody gets there.", looked: []Looked{hello(apart)}, want: "NoGateway"},
		"OneOfTwo":       {reason: "The other may be kept within its cluster.", looked: []Looked{hello(apart), hello(apart, through)}, passes: true},
		"OneWrong":       {reason: "One that is wrong is enough.", looked: []Looked{hello(apart, through), hello(apart, apPod)}, want: "PodAddresses"},
		"NoService":      {reason: "Nothing to look at is nothing wrong.", passes: true, want: NoService},
		"Flat":           {reason: "In one network pods are reached directly.", flat: true, looked: []Looked{hello(apart, euPod, apPod)}, passes: true},
		"FlatWithout":    {reason: "They are missing.", flat: true, looked: []Looked{hello(apart, euPod)}, want: "NoPods"},
		"FlatThrough":    {reason: "A gateway in between is not how one network works.", flat: true, looked: []Looked{hello(apart, euPod, through)}, want: "NoPods"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Endpoints(tc.looked, "ap", "n-ap", tc.flat, gateways)
			assert.Equal(t, tc.want, got.Reason, tc.reason)
			assert.Equal(t, tc.passes, got.Passed, tc.reason)
		})
	}
}

func TestServices(t *testing.T) {
	s := Services{Network: "n-eu", Peers: []string{"ap", "us"}}
	s.Visit(istiod.Shards{Host: "hello.default.svc.cluster.local", Namespace: "default", Pods: map[string][]istiod.Pod{
		"eu":  {pod("n-eu", "10.0.0.1", "istio")},
		"eu2": {pod("n-eu", "10.0.0.2", "disabled")},
		"ap":  {pod("n-ap", "10.0.0.1", "istio"), pod("n-ap", "10.0.0.9", "disabled")},
		"us":  {pod("n-us", "10.0.0.1", "disabled")},
	}})
	s.Visit(istiod.Shards{Host: "api.example.com", Namespace: "default", Pods: map[string][]istiod.Pod{"ap": {pod("n-ap", "10.0.0.3", "istio")}}})
	s.Visit(istiod.Shards{Host: "dns.kube-system.svc.cluster.local", Namespace: "kube-system", Pods: map[string][]istiod.Pod{"ap": {pod("n-ap", "10.0.0.4", "istio")}}})
	want := []Service{{Host: "hello.default.svc.cluster.local", Namespace: "default", Name: "hello", Ports: map[string]Pods{
		"http": {Peer: map[string]int{"10.0.0.1:8080": 1}, Direct: map[string]int{"10.0.0.1:8080": 1, "10.0.0.2:8080": 1}},
	}}}
	assert.Equal(t, want, s.Of("ap"), "pods with mTLS count for the peer, and all for the own network")
	assert.Empty(t, s.Of("us"), "without mTLS no gateway leads there")
}

func TestServicesAreBounded(t *testing.T) {
	s := Services{Network: "n-eu", Peers: []string{"ap"}}
	for i := range 200 {
		namespace := "istio-system"
		if i%50 == 49 {
			namespace = "default"
		}
		s.Visit(istiod.Shards{Host: fmt.Sprintf("s%03d.%s.svc.cluster.local", i, namespace), Namespace: namespace, Pods: map[string][]istiod.Pod{"ap": {pod("n-ap", "10.0.0.1", "istio")}}})
	}
	got := s.Of("ap")
	require.Len(t, got, maxServices)
	for i := range 4 {
		assert.Equal(t, "default", got[i].Namespace, "those of users come first")
	}
}
