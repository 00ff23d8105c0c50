// Package traffic sends real requests through a mesh whose pods are simulated.
//
// Envoy does not run here. What stands for it are Go programs that istiods
// drive over xDS (package ads): a [Caller] is a workload with its sidecar, which
// picks endpoints as istiod weighs them and speaks mTLS to them; a [Server] is a
// pod behind its sidecar; a [Gateway] is an east-west gateway that forwards TLS
// connections by SNI without ending them. Certificates come from the CA of the
// istiod of each cluster ([Identity]), and are checked as Envoy checks them:
// the chain to a root of the mesh, and the SPIFFE identity of the other side.
//
// Pods of the playground have addresses that exist nowhere. [Addresses] says
// where a pod's server really listens, and in which network that is known, so a
// caller reaches pods of its own network only, as in real life; a gateway's
// address is real: of 127.0.0.0/8, or this machine's.
//
// Invariants: nothing falls back. A caller whose istiod names an endpoint of
// another network fails, as it would outside of tests.
//
// Concurrency: everything here may be used by many goroutines.
package traffic
