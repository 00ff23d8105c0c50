package member

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/util/cert"
)

func TestConfigComplete(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(c *Config)
		bad    bool
	}{
		"good":          {reason: "this is how the playground calls", change: func(*Config) {}},
		"no nodes":      {reason: "a control plane alone is of use in tests", change: func(c *Config) { c.Nodes = 0 }},
		"relative path": {reason: "it is made absolute, because Run changes the directory", change: func(c *Config) { c.Dir = "x" }},
		"name":          {reason: "it becomes part of node names", change: func(c *Config) { c.Name = "E U" }, bad: true},
		"port":          {reason: "0 would be another one at each start", change: func(c *Config) { c.Port = 0 }, bad: true},
		"large port":    {reason: "there is none", change: func(c *Config) { c.Port = 70000 }, bad: true},
		"nodes":         {reason: "less than none", change: func(c *Config) { c.Nodes = -1 }, bad: true},
		"directory":     {reason: "data would land anywhere", change: func(c *Config) { c.Dir = "" }, bad: true},
		"kubeconfig":    {reason: "nobody could reach the member", change: func(c *Config) { c.Kubeconfig = "" }, bad: true},
		"address":       {reason: "nothing could listen on it", change: func(c *Config) { c.Address = "eu" }, bad: true},
		"pods":          {reason: "each member of a playground has a range of its own", change: func(c *Config) { c.PodCIDR = "10.7.0.0/16" }},
		"no range":      {reason: "kwok would find out when the first pod comes", change: func(c *Config) { c.PodCIDR = "10.7.0.0" }, bad: true},
		"inside":        {reason: "which address is the first would depend on how it is written", change: func(c *Config) { c.PodCIDR = "10.7.0.9/16" }, bad: true},
		"small":         {reason: "kwok takes addresses behind it when it is used up", change: func(c *Config) { c.PodCIDR = "10.7.0.0/28" }, bad: true},
		"IPv6":          {reason: "Services are IPv4", change: func(c *Config) { c.PodCIDR = "fd00::/16" }, bad: true},
		"of Services":   {reason: "a Service and a pod could have one address", change: func(c *Config) { c.PodCIDR = "10.0.0.0/8" }, bad: true},
		"ready file":    {reason: "nobody would know", change: func(c *Config) { c.ReadyFile = "" }, bad: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := testConfig("/d")
			tc.change(&c)
			err := c.complete()
			if tc.bad {
				require.ErrorIs(t, err, ErrConfig, tc.reason)
				return
			}
			require.NoError(t, err, tc.reason)
			require.True(t, filepath.IsAbs(c.Dir), tc.reason)
		})
	}
}

// TestComponentsAcceptTheirFlags is also what fails when an upgrade of
// Kubernetes drops a flag or a controller.
func TestComponentsAcceptTheirFlags(t *testing.T) {
	c := testConfig(t.TempDir())
	require.NoError(t, c.complete())
	all, err := newComponents(&c)
	require.NoError(t, err)
	require.Equal(t, c.Port, all.apiServer.SecureServing.BindPort)
	require.False(t, all.controllerManager.Generic.LeaderElection.LeaderElect)
	require.Zero(t, all.controllerManager.SecureServing.BindPort)
	require.Zero(t, all.scheduler.SecureServing.BindPort)

	known, _, _ := controllerNames()
	for _, name := range all.controllerManager.Generic.Controllers {
		if name != "*" {
			require.Contains(t, known, strings.TrimPrefix(name, "-"), "a controller that is switched off has to exist")
		}
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	c := testConfig("/d")
	require.NoError(t, c.complete())
	address := regexp.MustCompile(`-address=(.*)$`)
	flags := slices.Concat(apiServerFlags(&c), controllerManagerFlags(&c), schedulerFlags(&c))
	for _, flag := range flags {
		if m := address.FindStringSubmatch(flag); m != nil {
			require.Equal(t, "127.0.0.1", m[1], flag)
		}
	}
	require.Contains(t, apiServerFlags(&c), "--bind-address=127.0.0.1")
	require.Contains(t, controllerManagerFlags(&c), "--secure-port=0")
	require.Contains(t, schedulerFlags(&c), "--secure-port=0")
}

// TestAddress is about what makes a member one that real nodes can join.
func TestAddress(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Address = "192.0.2.7"
	require.NoError(t, c.complete())
	require.Equal(t, "https://192.0.2.7:21001", c.Server())
	flags := apiServerFlags(&c)
	for _, flag := range []string{
		"--bind-address=192.0.2.7", "--advertise-address=192.0.2.7",
		"--authorization-mode=Node,RBAC", "--endpoint-reconciler-type=lease",
	} {
		require.Contains(t, flags, flag)
	}
	_, services, err := net.ParseCIDR(serviceIPs)
	require.NoError(t, err)
	require.True(t, services.Contains(net.ParseIP(apiServiceIP)))

	_, err = certificates(&c, time.Now())
	require.NoError(t, err)
	data, err := os.ReadFile(c.pki("serving.crt"))
	require.NoError(t, err)
	chain, err := cert.ParseCertsPEM(data)
	require.NoError(t, err)
	for _, ip := range []string{"192.0.2.7", apiServiceIP, loopback} {
		require.NoError(t, chain[0].VerifyHostname(ip), "pods reach the API by the address of its Service")
	}
}

func TestAddressesOfPods(t *testing.T) {
	c := testConfig("/d")
	c.PodCIDR = ""
	require.NoError(t, c.complete())
	require.Equal(t, "10.0.0.1/16", c.podPool(nil))
	c.PodCIDR = "10.7.0.0/16"
	require.NoError(t, c.complete())
	ips := func(list ...string) (out []netip.Addr) {
		for _, ip := range list {
			out = append(out, netip.MustParseAddr(ip))
		}
		return out
	}
	require.Equal(t, "10.7.0.1/16", c.podPool(nil))
	require.Equal(t, "10.7.2.9/16", c.podPool(ips("10.7.0.3", "10.7.2.9", "10.7.0.10")), "a pod keeps its address over a restart")
	require.Equal(t, "10.7.0.1/16", c.podPool(ips("10.8.0.3", "10.0.0.4", "fd00::1")), "others are in nobody's way")
	require.Equal(t, "10.7.0.1/16", c.podPool(ips("10.7.255.255")), "at the end it begins anew")
	require.Equal(t, "10.7.0.1", c.nodeIP().String())
}

func TestStages(t *testing.T) {
	byKind, err := stages()
	require.NoError(t, err)
	names := map[string][]string{}
	for ref, list := range byKind {
		for _, stage := range list {
			names[ref.Kind] = append(names[ref.Kind], stage.Name)
		}
	}
	require.Equal(t, map[string][]string{
		"Node": {"node-initialize", "node-heartbeat-with-lease"},
		"Pod":  {"pod-ready", "pod-complete", "pod-delete"},
	}, names)
}

func TestNode(t *testing.T) {
	zones := map[string]bool{}
	for i := 1; i <= 4; i++ {
		n := node("eu", i)
		require.Equal(t, "fake", n.Annotations["kwok.x-k8s.io/node"], "kwok manages what has it")
		require.Equal(t, "eu", n.Labels[corev1.LabelTopologyRegion])
		require.Equal(t, n.Status.Capacity, n.Status.Allocatable)
		zones[n.Labels[corev1.LabelTopologyZone]] = true
	}
	require.Equal(t, map[string]bool{"eu-a": true, "eu-b": true, "eu-c": true}, zones)
}

func TestEnsureNodes(t *testing.T) {
	other := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"type": "kwok"}}}
	client := fake.NewClientset(other)
	names := func() (list []string) {
		nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, n := range nodes.Items {
			list = append(list, n.Name)
		}
		slices.Sort(list)
		return list
	}
	require.NoError(t, ensureNodes(t.Context(), client, "eu", 3))
	require.Equal(t, []string{"eu-node-1", "eu-node-2", "eu-node-3", "other"}, names())
	require.NoError(t, ensureNodes(t.Context(), client, "eu", 3), "again changes nothing")
	require.NoError(t, ensureNodes(t.Context(), client, "eu", 1))
	require.Equal(t, []string{"eu-node-1", "other"}, names(), "nodes beyond the number go, others stay")
}
