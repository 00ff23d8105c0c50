// Package ads takes from an istiod what Envoy would take: listeners, clusters and
// endpoints, over the aggregated discovery service, with every version
// acknowledged.
//
// A [Client] is one proxy: a sidecar or a gateway, as its [Node] says. It has a
// [View] of what it was sent: for each destination where to connect to, with
// which weight, which SNI and which identities to accept. Only what a test of
// the mesh needs is understood; nothing is guessed, so a destination without
// endpoints in EDS has none.
//
// Invariants: what a View says came from istiod; a connection that ends is made
// again, with growing delay, and what was known before stays in force meanwhile,
// as in Envoy.
//
// Concurrency: a Client runs one goroutine until [Client.Close]. Views are
// immutable.
package ads
