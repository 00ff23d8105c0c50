package proof

import (
	"testing"

	"github.com/stretchr/testify/assert"

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

func TestEndpoints(t *testing.T) {
	gateways := []istiod.Gateway{
		{Network: "n-ap", Cluster: "ap", Addr: "127.0.0.9", Port: 15443}, {Network: "n-ap", Cluster: "ap", Addr: "127.0.0.7", Port: 15443},
		{Network: "n-us", Cluster: "us", Addr: "127.0.0.8", Port: 15443},
	}
	e := func(address, cluster string) istiod.Endpoint {
		return istiod.Endpoint{Address: address, Cluster: cluster}
	}
	// Networks apart number their pods alike.
	ours, theirs, through, astray, old, mute := e("10.0.0.1:80", "eu"), e("10.0.0.1:80", "ap"), e("127.0.0.9:15443", "ap"), e("127.0.0.8:15443", "us"), e("127.0.0.7:15443", "ap"), e("10.0.0.3:80", "")
	hello := func(endpoints ...istiod.Endpoint) Looked {
		return Looked{Host: "hello.default.svc.cluster.local", Port: 80, Endpoints: endpoints}
	}
	cases := map[string]struct {
		reason string
		looked []Looked
		flat   bool
		names  bool
		want   string
		passes bool
	}{
		"Through":       {reason: "Own pods and the gateway.", looked: []Looked{hello(ours, through)}, passes: true},
		"Raw":           {reason: "Istio fails open without a gateway.", looked: []Looked{hello(ours, theirs)}, want: "PodAddresses"},
		"Both":          {reason: "The gateway does not make the pod's address right.", looked: []Looked{hello(through, theirs)}, want: "PodAddresses"},
		"OneWrong":      {reason: "One that is wrong is enough.", looked: []Looked{hello(through), hello(theirs)}, want: "PodAddresses"},
		"OldGateway":    {reason: "istiod keeps gateways that are gone; traffic goes astray.", looked: []Looked{hello(ours, old)}, want: "OldGateway"},
		"OldGatewayToo": {reason: "Some of it.", looked: []Looked{hello(through, old)}, want: "OldGateway"},
		"Resolved":      {reason: "A name stands for what istiod has resolved it to.", names: true, looked: []Looked{hello(ours, old)}, passes: true},
		"NotThere":      {reason: "The gateway of another network says nothing about this one.", looked: []Looked{hello(ours, astray)}, passes: true, want: NoService},
		"NotTold":       {reason: "Pods of the peer could be among them.", looked: []Looked{hello(through, mute)}, want: "ClusterNotTold"},
		"NoService":     {reason: "Nothing to look at is nothing wrong.", passes: true, want: NoService},
		"Flat":          {reason: "In one network pods are reached directly.", flat: true, looked: []Looked{hello(ours, theirs)}, passes: true},
		"FlatWithout":   {reason: "It may have none that are ready.", flat: true, looked: []Looked{hello(ours)}, passes: true, want: NoService},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			peer := &meshv1alpha1.MemberPeer{Name: "ap", Network: "n-ap", Gateways: []meshv1alpha1.GatewayAddress{{Address: "127.0.0.9", Port: 15443}}}
			if tc.names {
				peer.Gateways = []meshv1alpha1.GatewayAddress{{Address: "lb.example.com", Port: 15443}}
			}
			network := "n-eu"
			if tc.flat {
				network, peer.Gateways = "n-ap", nil
			}
			got := Endpoints(tc.looked, WayTo(peer, network, gateways))
			assert.Equal(t, tc.want, got.Reason, tc.reason)
			assert.Equal(t, tc.passes, got.Passed, tc.reason)
		})
	}
	way := WayTo(&meshv1alpha1.MemberPeer{Name: "ap", Network: "n-ap", Gateways: []meshv1alpha1.GatewayAddress{{Address: "127.0.0.9", Port: 15443}}}, "n-eu", gateways)
	assert.False(t, way.Tells([]istiod.Endpoint{ours, astray, mute}))
	for _, telling := range []istiod.Endpoint{theirs, through, old} {
		assert.True(t, way.Tells([]istiod.Endpoint{ours, telling}), "%v", telling)
	}
}

func TestFirst(t *testing.T) {
	good, note, bad := Verdict{Passed: true}, Verdict{Passed: true, Reason: NoService}, Verdict{Reason: "NotSynced", Message: "not yet"}
	assert.Equal(t, good, First([]Verdict{good, note}))
	assert.Equal(t, bad, First([]Verdict{bad}))
	assert.Equal(t, Verdict{Reason: "NotSynced", Message: "not yet (1 of 3 istiods)"}, First([]Verdict{good, bad, good}), "the least counts")
}
