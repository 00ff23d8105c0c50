// Package probe tries to reach workloads of another cluster through its gateway, as a
// workload of this one would: TLS with the mesh's certificate, the protocol istio, and
// the server name of a service. The gateway forwards by that name without ending TLS,
// so whoever answers is a workload behind it.
//
// What an attempt shows:
//
//   - A full handshake: the gateway is reached, forwards, and both sides trust each
//     other.
//   - A certificate under another root, or ours refused: the clusters do not trust each
//     other.
//   - The connection is closed before anything came back: something listens there, but
//     it knows none of the services tried (or what is behind does not answer). A
//     gateway without a service to forward to cannot be told from a load balancer
//     without a gateway that way, so it passes with the reason NoService.
//   - No connection: it is not reached.
//
// The identity of the workload is not checked, and nothing is sent after the
// handshake: whom a call may reach is between workloads.
//
// Concurrency: functions keep no state.
package probe
