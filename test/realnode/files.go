//go:build linux

package realnode

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

// sysctls are settings of the kernel, of the whole machine, that a kubelet wants
// and would change. The box shows it files that say so already.
var sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// writeFiles writes what the processes of a node read when they start.
func (n *node) writeFiles() error {
	files := map[string]string{
		"containerd.toml":     n.containerdConfig(),
		"kubelet.yaml":        n.kubeletConfig(),
		"kube-proxy.yaml":     n.proxyConfig(),
		"cni/10-pods.conf":    n.cniConfig(),
		"nftables.conf":       n.masquerade(),
		"resolv.conf":         "nameserver " + n.Address + "\n",
		"logs/.keep":          "",
		"volumes/.keep":       "",
		"masks/var-log/.keep": "",
		"masks/var-lib/.keep": "",
	}
	for name, value := range sysctls {
		files["sysctl/"+name] = value + "\n"
	}
	for name, content := range files {
		path := n.path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return n.writeIdentities()
}

// writeIdentities makes the kubeconfigs of kubelet and kube-proxy. The CA is the
// one that the control plane finds, and uses, when it starts.
func (n *node) writeIdentities() error {
	now := time.Now()
	dir := n.path("member", "pki")
	ca, err := pki.EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "kubernetes-"+n.Cluster, now)
	if err != nil {
		return err
	}
	for _, user := range []struct {
		file string
		leaf pki.Leaf
	}{
		{"kubelet", pki.Leaf{CommonName: "system:node:" + n.Name, Organization: []string{"system:nodes"}}},
		{"kube-proxy", pki.Leaf{CommonName: "system:kube-proxy"}},
	} {
		certFile, keyFile := n.path(user.file+".crt"), n.path(user.file+".key")
		if _, err := ca.Ensure(certFile, keyFile, user.leaf, now); err != nil {
			return err
		}
		kubeconfig := pki.Kubeconfig{Name: n.Cluster, Server: n.server(), CA: ca.PEM}
		if kubeconfig.ClientCert, err = os.ReadFile(certFile); err != nil {
			return err
		}
		if kubeconfig.ClientKey, err = os.ReadFile(keyFile); err != nil {
			return err
		}
		if err := kubeconfig.WriteFile(n.path(user.file + ".kubeconfig")); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) containerdConfig() string {
	return fmt.Sprintf(`version = 3
root = %[1]q
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs"]
[grpc]
  address = %[2]q
[plugins."io.containerd.internal.v1.opt"]
  path = %[8]q
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %[3]q
[plugins."io.containerd.cri.v1.runtime"]
  # Lowering the score needs more rights than root of a small machine may have.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  runtime_path = %[4]q
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = %[5]q
  SystemdCgroup = false
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [%[6]q]
  conf_dir = %[7]q
`, n.path("containerd"), n.socket(), sandboxImage,
		n.binary("node", "containerd-shim-runc-v2"), n.binary("node", "runc"), cniPlugins, n.path("cni"), n.path("opt"))
}

// kubeletConfig has no authentication: only what is on the bridge reaches it.
func (n *node) kubeletConfig() string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: %[2]s
clusterDNS: [%[1]s]
clusterDomain: %[5]s
containerRuntimeEndpoint: unix://%[3]s
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
resolvConf: %[4]s
volumePluginDir: %[6]s
# Images are imported once, and the machine's disk is others' concern.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
`, n.Address, n.Cgroup, n.socket(), n.path("resolv.conf"), clusterName, n.path("volume-plugins"))
}

// proxyConfig leaves the settings of connection tracking alone: most are the
// machine's.
func (n *node) proxyConfig() string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: %q}
clusterCIDR: %s
hostnameOverride: %s
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, n.path("kube-proxy.kubeconfig"), podNetwork, n.Name)
}

func (n *node) cniConfig() string {
	config, err := json.Marshal(map[string]any{
		"cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
		"isGateway": true, "hairpinMode": true,
		"ipam": map[string]any{
			"type":   "host-local",
			"ranges": [][]map[string]string{{{"subnet": podNetwork}}},
			"routes": []map[string]string{{"dst": "0.0.0.0/0"}},
		},
	})
	if err != nil {
		panic(err) // strings and a bool
	}
	return string(config)
}

// masquerade lets pods leave the node under its address. The plugin could do it,
// too, but by iptables, beside the nftables of kube-proxy.
func (n *node) masquerade() string {
	return fmt.Sprintf(`table ip flotilla_realnode {
	chain postrouting {
		type nat hook postrouting priority srcnat
		ip saddr %[1]s ip daddr != %[1]s masquerade
	}
}
`, podNetwork)
}
