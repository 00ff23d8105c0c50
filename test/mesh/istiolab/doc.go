// Package istiolab runs real istiods as plain processes beside the members of a
// playground, and looks at them with the eyes that they offer: their debug
// pages and their certificate authority.
//
// [Prepare] gives a member what an installation of Istio has: the CRDs (of
// module istio.io/api, in the version that test/mesh/istiod requires) and the
// namespace istio-system. [Start] starts an istiod for it. An [Istiod] can be
// stopped, killed and started again; it keeps its directory then, but not its
// ports. The member has the Service istiod with the ports of now, as the charts
// make it, for an agent to find it by.
//
// [PrepareGatewayAPI] and [DeployGateways] are for istiods that make gateways of the
// Gateway API, which they otherwise do not here.
//
// Secret cacerts of a member is mounted as a kubelet mounts it: what is in the
// Secret appears in ROOT_CA_DIR as one change (a symbolic link that moves),
// before istiod starts if it is there already. Only a kubelet takes up to a
// minute or two, and this takes [MountInterval].
//
// istiod is built by make istiod; the binary is taken from FLOTILLA_BIN/mesh, or
// bin/mesh of this repository.
//
// Several istiods of a cluster are behind one Service: those with [Options.Address]
// have EndpointSlices, ready or not, as the endpoint slice controller makes them. Those
// take no address of loopback.
//
// Invariants: an istiod without Address listens on loopback only; all write only below
// their directories, and ends when the process that started it ends, however that
// happens (on Linux).
//
// Concurrency: an Istiod's methods that look may be called by many goroutines,
// also while it is started again; those that start and stop belong to one.
package istiolab
