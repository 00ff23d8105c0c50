// Package mesh has the tests of the mesh: with real istiods beside the members of
// a playground (package istiolab), and traffic that istiods direct (packages ads
// and traffic). Envoy itself is not run.
//
// Tests of meshlink are in packages meshlink (what a user gets), membership (who
// comes, goes and is lost), tokens, rotation (of the root), external (a CA of a
// person, and intermediates that are renewed), replicas (several istiods in a
// cluster), gateways (the ways into a cluster), faults and secrets. They share the
// world of package meshlab.
//
// Tests in package byhand do what a person does with Istio's guides. They are
// what is known about istiod apart from meshlink, and fail when another version
// of Istio behaves differently. What they have shown, with Istio 1.31 on two
// cores:
//
// # Start
//
//   - The CRDs take 1 to 2 s to create in a member, istiod 2 s until /ready, 0.3 s
//     when it is started again.
//   - /ready comes before ConfigMap istio-ca-root-cert, by up to 0.3 s. After a
//     restart with another root that ConfigMap still has the old one meanwhile,
//     and a client that trusts it cannot connect: try again.
//
// # What is seen where
//
//   - /debug/clusterz: istiod's own cluster, without a secretName, has the
//     CLUSTER_ID; a peer is there from when its secret was read.
//   - /debug/clusterz has a peer until istiod has seen that its remote secret is gone. An
//     istiod that hangs goes on with the peer, as do its proxies.
//   - /debug/clusterz says syncing for a moment when a remote secret changes. The
//     peer's endpoints stay meanwhile.
//   - /debug/networkz: null without gateways. Gateways of the own cluster are in
//     it, too. A change of a Service's status is seen within 0.1 s.
//   - /debug/networkz keeps the gateway of a Service that has lost its last address
//     (addOrUpdateService in pilot/pkg/serviceregistry/kube/controller looks at
//     Services with addresses only), and gateways of a cluster whose remote secret
//     is gone, until something else makes it look again. Its endpoints are gone at
//     once with the remote secret, so that sends no traffic astray.
//   - /debug/endpointShardz: pods as they are, by cluster and with their network,
//     never gateways. Keys are host, namespace, and provider/cluster.
//   - EDS alone shows which endpoints a proxy gets, gateways in place of other
//     networks' pods. /debug/edsz needs the id of a proxy that is connected; to
//     be sure to have one, be one: package ads does with a token of any
//     ServiceAccount (audience istio-ca) what a sidecar does.
//   - /version is beside the metrics (15014), not on 8080, and open to all:
//     <version>-<revision>-<status>.
//   - Debug pages are on 8080 and 15014. From loopback they are open. From
//     elsewhere a token with audience istio-ca is asked for, and from another
//     namespace than istio-system only config_dump, ndsz and edsz are allowed
//     (ENABLE_DEBUG_ENDPOINT_AUTH, DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES). Read
//     in the source, not tested: here these are on loopback. The same pages as
//     resources of xDS, at 15012, are given to an account of istio-system from
//     another address, too (package replicas).
//   - Several istiods of a cluster need no election for what is tested here: each
//     reads remote secrets and loads cacerts for itself. One that looks for remote
//     secrets elsewhere (PILOT_MULTICLUSTER_KUBECONFIG_PATH) has no peer in clusterz,
//     and is ready all the same. --clusterRegistriesNamespace has no effect.
//
// # CA
//
//   - A changed Secret cacerts is loaded 0.1 s after its files changed. The
//     issuer of new certificates shows it, and the last element of what the CA
//     returns is the root bundle in effect, at once. ConfigMap istio-ca-root-cert
//     of every namespace follows within 0.4 s: root-cert.pem, byte for byte.
//   - Where no inotify instance is to be had (fs.inotify.max_user_instances, 128 for a
//     user, which a dozen playgrounds use up) istiod does not see that its files
//     changed, and goes on with what it has loaded when it was started.
//   - An intermediate may be below others; all that is in cert-chain.pem short of
//     the root is in what workloads show. A root without the extension keyUsage, and
//     keys of P-384, are fine.
//   - Another intermediate under the same root takes effect without a restart, and
//     no call fails, with lives of 32 s and workloads' certificates of 8 s.
//   - Another root, or a further one, is not loaded without
//     ISTIO_MULTIROOT_MESH=true, nor is the rest of the Secret then: one warning
//     in the log, and everything goes on as before. A restart loads it. So an
//     intermediate and the root never go in one change if the intermediate shall
//     take effect without the setting.
//   - With the setting a change is loaded if the old or the new bundle contains
//     the other. The three steps of a rotation work without a restart.
//   - A Secret cacerts that comes after istiod's start has no effect until it is
//     started again: istiod has made a root of its own by then. So the CA comes
//     before istiod, or a restart is asked for.
//
// # Networks
//
//   - While a network has no gateway its pods are handed out raw to all networks,
//     and so they are again at once when the gateway's Service goes. Then
//     requests go nowhere.
//   - A gateway's weight is the number of endpoints behind it (with one gateway
//     per network; with several all weights are multiplied, the source says).
//   - The gateway gets one chain per service and port with server name
//     outbound_.<port>_._.<host>, for the ALPNs istio, istio-peer-exchange,
//     istio-http/1.0, istio-http/1.1 and istio-h2 only: a probe that offers no
//     ALPN, or h2, is turned away.
//   - With several gateways of a network all weights are multiplied, so that each has
//     its share of the endpoints behind it. A gateway that is dead has it, too: istiod
//     does not look.
//   - A gateway of type NodePort is at the first ExternalIP of each node that the
//     annotation traffic.istio.io/nodeSelector chooses, whether the node is ready or
//     not, at the node port of the port that the label networking.istio.io/gatewayPort
//     names. Nodes that come, go, and change their labels are seen within 0.1 s.
//   - A node that loses its ExternalIP and stays keeps it in istiod (onNodeEvent in
//     pilot/pkg/serviceregistry/kube/controller looks at nodes with one only), until the
//     node goes or istiod is started again. Requests are sent there.
//   - spec.externalIPs of such a Service replace the nodes, at the node port. But when
//     they come after istiod has known the Service by its nodes it goes back to the
//     nodes at the next change of any of them, such as the deletion of a node without
//     an ExternalIP (updateServiceNodePortAddresses, same place).
//   - Of a Gateway (gateway.networking.k8s.io) of class istio, with a listener for TLS
//     Passthrough and the label of the network, istiod makes Deployment and Service, and
//     lets through what a Gateway of its own with AUTO_PASSTHROUGH does. It copies all
//     labels and annotations of it onto them unless spec.infrastructure has some of each.
//     networkz has spec.addresses of it besides those of the Service. With more than one
//     of these istiod makes nothing (IsManaged in pilot/pkg/config/kube/gatewaycommon;
//     read, not tested).
//   - The kind may come after istiod has started, in the own cluster and in a peer.
//   - All members of a playground give their pods the same addresses. That is
//     fine for networks apart; in a flat one tests have to change them.
//
// # The account that peers read with
//
//   - get, list and watch on namespaces, services, pods, nodes, endpointslices,
//     customresourcedefinitions, workloadentries and gateways, and on the one
//     ConfigMap istio (by resourceNames) suffice for endpoints and gateways.
//     Without the right to ConfigMap istio the peer is never synced.
//   - Without the right to list Secrets everywhere the peer is never synced
//     either: clusterz says timeout after PILOT_REMOTE_CLUSTER_TIMEOUT (30 s).
//     Its endpoints are there all the same, at once, and are kept up to date; but
//     an istiod that starts waits out that timeout before it is ready, and its
//     log fills with refused watches.
//   - When the right comes afterwards, it is synced 3 to 4 s later here, where it had
//     been without for 7 s: it tries again at growing intervals.
//   - PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=false, which is meant for such
//     accounts, makes istiod crash when it reads a remote secret (a nil pointer
//     in (*CredentialsController).HasSynced).
package mesh
