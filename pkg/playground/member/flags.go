package member

import (
	"fmt"
	"strconv"
)

const (
	// The sockets are relative to the member's directory, see the package
	// comment, and named like host:port because etcd insists. Requests over
	// plain HTTP have their own: sharing one would put etcd's gRPC on the
	// slower of its two servers.
	etcdSocket     = "etcd:0"
	etcdHTTPSocket = "etcd-http:0"
	etcdPeerSocket = "etcd-peer:0"

	serviceIPs = "10.96.0.0/16"
	// apiServiceIP is the first of them, that of Service kubernetes.
	apiServiceIP = "10.96.0.1"
)

// apiServerFlags are the flags of the member's kube-apiserver. Nothing that
// runs a request differs from a usual cluster; what is left out is what needs
// real nodes or costs memory for nobody.
func apiServerFlags(c *Config) []string {
	authorization, reconciler := "RBAC", "none"
	if c.takesNodes() {
		authorization, reconciler = "Node,RBAC", "lease"
	}
	return []string{
		"--bind-address=" + c.Address,
		// Without it the address of a network interface is looked up, and a
		// machine that is offline has none.
		"--advertise-address=" + c.Address,
		"--secure-port=" + strconv.Itoa(c.Port),
		"--etcd-servers=unix://" + etcdSocket,
		// Endpoints refuse a loopback address, and no pod would use it.
		"--endpoint-reconciler-type=" + reconciler,
		"--service-cluster-ip-range=" + serviceIPs,
		"--authorization-mode=" + authorization,
		"--allow-privileged=true",
		// No DNS knows the names of nodes.
		"--kubelet-preferred-address-types=InternalIP",
		"--profiling=false",

		"--client-ca-file=" + c.pki("ca.crt"),
		"--tls-cert-file=" + c.pki("serving.crt"),
		"--tls-private-key-file=" + c.pki("serving.key"),

		"--requestheader-client-ca-file=" + c.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.pki("front-proxy-client.key"),

		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki("sa.pub"),
		"--service-account-signing-key-file=" + c.pki("sa.key"),

		fmt.Sprintf("--v=%d", c.Verbosity),
	}
}

// controllerManagerFlags are the flags of the member's
// kube-controller-manager: every default controller but those that talk to a
// cloud or to volumes on nodes.
func controllerManagerFlags(c *Config) []string {
	return []string{
		"--kubeconfig=" + c.pki(adminKubeconfig),
		"--leader-elect=false",
		// No port: what it would serve, health and metrics, nobody asks for.
		"--secure-port=0",
		"--profiling=false",
		"--service-account-private-key-file=" + c.pki("sa.key"),
		"--root-ca-file=" + c.pki("ca.crt"),
		"--cluster-signing-cert-file=" + c.pki("ca.crt"),
		"--cluster-signing-key-file=" + c.pki("ca.key"),
		"--service-cluster-ip-range=" + serviceIPs,
		"--allocate-node-cidrs=false",
		"--controllers=*,-cloud-node-lifecycle-controller,-node-route-controller,-service-lb-controller," +
			"-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
}

// schedulerFlags are the flags of the member's kube-scheduler.
func schedulerFlags(c *Config) []string {
	return []string{
		"--kubeconfig=" + c.pki(adminKubeconfig),
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
}
