// Package meshlab is a playground of three members with Istio, for tests of
// meshlink: a real istiod beside each member, and what stands for the rest of the
// world.
//
// The rest of the world is what simulated nodes do not have. Each member has a
// plane, which is its cloud and its network: it gives Services of gateways an
// address of 127.0.0.0/8, as a load balancer does, and runs the gateway there, and at
// ExternalIPs of nodes and externalIPs of the Service; it answers for running pods that say that they have a sidecar; and it calls
// others. All of that takes its orders from the member's istiod alone (packages
// traffic and ads). Faults are made here, too: a load balancer that gives no
// address, a member that is cut off.
//
// A [Session] is a test at the keyboard of that world. It waits until the Mesh,
// or what an istiod says, is as wanted, and shows both when it is not.
//
// Invariants: nothing here knows what meshlink wants; networks are as [Lab.Wire]
// has laid the cables, whatever the labels say.
//
// Concurrency: a Lab belongs to the tests of a package, which run one after the
// other. A Session belongs to one test.
package meshlab
