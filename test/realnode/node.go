//go:build linux

package realnode

import (
	"net"
	"path/filepath"
	"strconv"
)

const (
	podNetwork = "10.244.0.0/24"
	apiPort    = 6443
	// sandboxImage is what holds a pod's namespaces.
	sandboxImage = "localhost/flotilla-realnode/pause:1"
	clusterName  = "cluster.local"
)

// node is what the test tells the box.
type node struct {
	// Cluster is the cluster's name, Name that of its node.
	Cluster, Name string
	// Dir holds everything of the node, Bin are the repository's binaries.
	Dir, Bin string
	// Interface is the name of the node's interface, which has Address/24, and
	// Gateway is this machine.
	Interface, Address, Gateway string
	// Cgroup is the parent of all pods' control groups.
	Cgroup string
}

func (n *node) path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir}, elem...)...)
}

func (n *node) binary(elem ...string) string {
	return filepath.Join(append([]string{n.Bin}, elem...)...)
}

func (n *node) server() string {
	return "https://" + net.JoinHostPort(n.Address, strconv.Itoa(apiPort))
}

// socket is short, because the name of a socket has to be.
func (n *node) socket() string { return n.path("cd.sock") }

func (n *node) readyFile() string { return n.path("ready") }

// admin is the administrator's kubeconfig.
func (n *node) admin() string { return n.path("kubeconfig") }

// process is one of the processes of a node.
type process struct {
	name string
	args []string
	// after is a file that has to be there first.
	after string
	// role is what the test's binary is to be, if it is started.
	role string
}

// processes are in the order of their start.
func (n *node) processes() []process {
	return []process{
		{name: "containerd", args: []string{n.binary("node", "containerd"), "--config=" + n.path("containerd.toml")}},
		{name: "control-plane", args: []string{
			n.binary("playground"), "member", "--name=" + n.Cluster, "--dir=" + n.path("member"), "--nodes=0",
			"--kubeconfig=" + n.admin(), "--ready-file=" + n.readyFile(),
			"--address=" + n.Address, "--port=" + strconv.Itoa(apiPort),
		}},
		{name: "kubelet", after: n.readyFile(), args: []string{
			n.binary("node", "kubelet"), "--config=" + n.path("kubelet.yaml"), "--kubeconfig=" + n.path("kubelet.kubeconfig"),
			"--root-dir=" + n.path("kubelet"), "--cert-dir=" + n.path("kubelet", "pki"),
			"--hostname-override=" + n.Name, "--node-ip=" + n.Address,
			"--node-labels=topology.kubernetes.io/region=" + n.Cluster + ",topology.kubernetes.io/zone=" + n.Cluster + "-a",
		}},
		{name: "kube-proxy", after: n.readyFile(), args: []string{n.binary("node", "kube-proxy"), "--config=" + n.path("kube-proxy.yaml")}},
		{name: "dns", after: n.readyFile(), role: roleDNS, args: []string{"/proc/self/exe", n.Address, n.admin()}},
	}
}
