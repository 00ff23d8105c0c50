package byhand

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// renumber gives the pods of hello addresses that no other member's have. All
// members of a playground number their pods alike, which is usual for networks
// apart and impossible in one.
func (m *member) renumber(t *testing.T, subnet int, pods map[string]string) map[string]string {
	t.Helper()
	numbered := map[string]string{}
	for name := range pods {
		ip := fmt.Sprintf("10.%d.0.%d", subnet, 10+len(numbered))
		patch := fmt.Sprintf(`{"status":{"podIP":%[1]q,"podIPs":[{"ip":%[1]q}]}}`, ip)
		_, err := m.core.CoreV1().Pods("default").Patch(t.Context(), name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status")
		require.NoError(t, err)
		numbered[name] = net.JoinHostPort(ip, strconv.Itoa(helloTarget))
	}
	return numbered
}

func ones(pods ...map[string]string) map[string]uint32 {
	weights := map[string]uint32{}
	for _, p := range pods {
		for _, address := range p {
			weights[address] = 1
		}
	}
	return weights
}

func TestFlatNetworkByHand(t *testing.T) {
	ctx := t.Context()
	members := prepared(t, newAuthority(t, "root"), map[string]string{"eu": "flat", "ap": "flat"})
	eu, ap := members["eu"], members["ap"]
	addresses := &traffic.Addresses{}
	eu.startIstiod(ctx, t)
	ap.startIstiod(ctx, t)
	eu.hello(ctx, t, 2)
	ap.hello(ctx, t, 3)
	euPods := eu.renumber(t, 1, eu.podAddresses(t, 2))
	apPods := ap.renumber(t, 2, ap.podAddresses(t, 3))
	caller := eu.caller(ctx, t, addresses)
	require.NoError(t, ap.reading(ctx, secrets))
	require.NoError(t, eu.remoteSecret(ctx, ap, time.Hour))
	eu.shows(t, ap, istiolab.Synced)
	endpoints(t, caller.Proxy, "EDS in eu has the pods of both", ones(euPods, apPods))
	eu.serve(t, addresses, euPods)
	ap.serve(t, addresses, apPods)
	for range 50 {
		_, err := caller.Call(ctx, helloHost, helloPort)
		require.NoError(t, err)
	}
}

// TestIstioFailsOpen is why the order of the steps matters.
func TestIstioFailsOpen(t *testing.T) {
	ctx := t.Context()
	members := prepared(t, newAuthority(t, "root"), map[string]string{"eu": "network-eu", "ap": "network-ap"})
	eu, ap := members["eu"], members["ap"]
	addresses := &traffic.Addresses{}
	eu.startIstiod(ctx, t)
	eu.hello(ctx, t, 0)
	ap.hello(ctx, t, 3)
	apPods := ap.podAddresses(t, 3)
	caller := eu.caller(ctx, t, addresses)
	require.NoError(t, ap.reading(ctx, secrets))
	require.NoError(t, eu.remoteSecret(ctx, ap, time.Hour))
	eu.shows(t, ap, istiolab.Synced)
	endpoints(t, caller.Proxy, "without a gateway, EDS in eu has raw pods of another network", ones(apPods))
	_, err := caller.Call(ctx, helloHost, helloPort)
	require.ErrorIs(t, err, traffic.ErrUnreachable)

	require.NoError(t, ap.expose(ctx))
	require.NoError(t, ap.address(ctx, "127.200.0.1"))
	endpoints(t, caller.Proxy, "with a gateway, EDS in eu has that", map[string]uint32{"127.200.0.1:15443": 3})
	require.NoError(t, ap.core.CoreV1().Services(istiolab.Namespace).Delete(ctx, gatewayName, metav1.DeleteOptions{}))
	endpoints(t, caller.Proxy, "once the gateway is gone, raw pods again", ones(apPods))
}
