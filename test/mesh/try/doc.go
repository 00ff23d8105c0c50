// Command try is make playground-mesh: a playground whose members have Istio, for
// a person at a keyboard. docs/mesh.md is read with it.
//
// It starts bin/playground in a directory, gives each member what an installation
// of Istio has, and runs a real istiod beside it. What nodes would run is that of
// package meshlab: load balancers, gateways, and pods that answer.
//
// An istiod that ends is started again, so that ending it by the id in
// istiod-<member>.pid is what kubectl rollout restart is elsewhere. While hello can
// be called in the first member, it is, and a line tells who answered.
//
// Invariants: nothing outlives the process, however it ends (on Linux). Everything
// is kept in the directory, but for the addresses of gateways and the ports of
// istiods, which are new with each start.
//
// Concurrency: one goroutine for each istiod starts and stops it, and one calls.
package main
