// Package probe tries to reach workloads of another cluster through its gateway, as a
// workload of this one would: TLS with the mesh's certificate, the protocol istio, and
// the server name of a service. The gateway forwards by that name without ending TLS,
// so whoever answers is a workload behind it.
//
// What an attempt with one name shows:
//
//   - A full handshake: the gateway is reached, forwards, and both sides trust each
//     other.
//   - A certificate under another root, ours refused, or no end of the handshake: the
//     clusters do not trust each other, or this workload is not like others (its port
//     is kept out of the mesh, or the gateway may not reach it).
//   - The connection is closed before anything came back: something listens there, but
//     it does not know the service (or what is behind does not answer).
//   - No connection: it is not reached.
//
// Gateway makes a verdict about an address out of attempts with several names. One
// workload must not decide about a link: only a connection that cannot be made is final,
// one full handshake passes, and what else was seen is reported when no name passes. If
// all names are closed, the reason is NoService: a gateway without a service to forward
// to cannot be told from a load balancer without a gateway that way.
//
// A Record makes a verdict over time: an address that closes all names that are known
// to have pods behind it fails with NothingBehind, but only when it did so several
// times. The same holds for one that passed, and at which nothing ends a handshake any
// more; and it holds for longer when nothing has answered before: the first service of a
// mesh does not take a link down while its pods start and gateways learn of it. It says when to try again, too: attempts reach workloads of users, so there is
// one a minute where all is well, and Reach, which does not, in between.
//
// Combine makes a verdict about a peer, which is good while most of its addresses are:
// one that is down costs the calls that go there, and a link taken down costs all. It says
// so with a reason, when it lasts.
//
// Order says which names to try: those of ports that speak HTTP first, whose workloads do
// not notice a handshake, and not the same service from every cluster.
//
// The identity of the workload is not checked, and nothing is sent after the
// handshake: whom a call may reach is between workloads.
//
// Concurrency: functions keep no state. A Record is used by one goroutine at a time.
package probe
