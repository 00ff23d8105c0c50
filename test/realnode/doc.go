// Package realnode runs Kubernetes clusters whose nodes run real pods, several
// side by side on one Linux machine, for tests that have to see containers:
// above all the installation by the chart.
//
// A [Cluster] is one node. On it run the control plane of a playground's member
// ("playground member", without simulated nodes), containerd, kubelet and
// kube-proxy as they are shipped, and a DNS server for Services. Pods get
// addresses from the CNI plugin "bridge". What comes from modules is built by
// make node-binaries into bin/node, what comes from Debian is named by
// [Missing].
//
// A node is a process, the box, in namespaces of its own: PIDs, mounts, network,
// IPC and host name. It is the first process of its PID namespace, so whatever it
// has started ends when it ends, and the kernel sees to that: containers, shims,
// pods in the host's network. Mounts, interfaces and rules of nftables go with
// their namespaces. The box ends when its standard input does, so it does not
// outlive a test that crashes. What the kernel does not remove is named after
// the process of the test (a bridge, control groups) and removed by [Lab.Close],
// or by the next [New] if the test crashed.
//
// The nodes of a [Lab] are on one bridge, which this machine is on, too: they
// reach each other's node ports and host network. Pods leave their node under its
// address. Nothing leaves this machine.
//
// Tests begin with [Main], because the box is the test's own binary, and skip by
// [Require] where real nodes cannot run.
//
// While a Lab is open, the machine's limit of inotify instances is raised where it is
// the low default. Nothing else of the machine is changed: what a kubelet would set in
// the kernel, it is shown as set.
//
// Concurrency: a Lab and its Clusters are safe for all tests of a package.
// Packages that run at once get different bridges and networks, but are better run
// one after the other.
package realnode
