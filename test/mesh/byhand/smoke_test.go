package byhand

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// TestTwoNetworksByHand joins eu and ap by hand, in the order that is safe, and
// looks after each step at what istiod of eu makes of it.
func TestTwoNetworksByHand(t *testing.T) {
	ctx := t.Context()
	members := prepared(t, newAuthority(t, "root of mesh1"), map[string]string{"eu": "network-eu", "ap": "network-ap"})
	eu, ap := members["eu"], members["ap"]
	addresses := &traffic.Addresses{}
	for _, m := range members {
		m.startIstiod(ctx, t)
		id, err := m.istiod.OwnClusterID(ctx)
		require.NoError(t, err)
		require.Equal(t, m.name, id)
		version, err := m.istiod.Version(ctx)
		require.NoError(t, err)
		require.Regexp(t, `^1\.31`, version)
	}

	eu.hello(ctx, t, 2)
	ap.hello(ctx, t, 3)
	euPods, apPods := eu.podAddresses(t, 2), ap.podAddresses(t, 3)
	caller := eu.caller(ctx, t, addresses)
	own := map[string]uint32{}
	for _, address := range euPods {
		own[address] = 1
	}
	endpoints(t, caller.Proxy, "EDS in eu has its own pods", own)

	listener, err := traffic.ListenLoopback()
	require.NoError(t, err)
	require.NoError(t, ap.expose(ctx))
	gateway := ap.gateway(ctx, t, addresses, listener)
	require.NoError(t, ap.address(ctx, gateway.IP()))
	eventually(t, "networkz of ap shows its own gateway", func() error { return hasGateway(ctx, ap, ap, gateway.IP()) })
	require.Error(t, hasGateway(ctx, eu, ap, gateway.IP()), "eu cannot know yet")
	eventually(t, "the gateway of ap has passages", func() error {
		if gateway.Passages() == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})

	require.NoError(t, ap.reading(ctx, secrets))
	require.NoError(t, eu.remoteSecret(ctx, ap, time.Hour))
	eu.shows(t, ap, istiolab.Synced)
	eventually(t, "networkz of eu shows the gateway of ap", func() error { return hasGateway(ctx, eu, ap, gateway.IP()) })
	eventually(t, "endpointShardz of eu has the pods of both", func() error {
		shards, err := eu.istiod.Endpoints(ctx, "default", "hello")
		if err == nil && (len(shards["eu"]) != 2 || len(shards["ap"]) != 3 || shards["ap"][0].Network != ap.network) {
			err = fmt.Errorf("%+v", shards)
		}
		return err
	})
	both := map[string]uint32{fmt.Sprintf("%s:%d", gateway.IP(), traffic.GatewayPort): 3}
	for address := range own {
		both[address] = 1
	}
	endpoints(t, caller.Proxy, "EDS in eu has its own pods, and the gateway for 3 pods", both)

	eu.serve(t, addresses, euPods)
	ap.serve(t, addresses, apPods)
	answered := map[string]int{}
	begin := time.Now()
	const calls = 300
	for range calls {
		answer, err := caller.Call(ctx, helloHost, helloPort)
		require.NoError(t, err, "gateway: %v", gateway.Refused())
		require.Equal(t, "spiffe://cluster.local/ns/default/sa/default", answer.As)
		answered[answer.By]++
	}
	t.Logf("%8s %d calls: %v", time.Since(begin).Round(time.Millisecond), calls, answered)
	require.Len(t, answered, 5, "all pods of both clusters answer")
	for name := range apPods {
		require.InDelta(t, calls/5, answered["ap/"+name], calls/10, "share of %s", name)
	}
}

// hasGateway says why an istiod does not show a member's gateway.
func hasGateway(ctx context.Context, in, of *member, ip string) error {
	gateways, err := in.istiod.Gateways(ctx)
	want := istiolab.Gateway{Network: of.network, Cluster: of.name, Addr: ip, Port: traffic.GatewayPort}
	if err == nil && !slices.Contains(gateways, want) {
		err = fmt.Errorf("networkz of %s is %+v, want %+v", in.name, gateways, want)
	}
	return err
}
