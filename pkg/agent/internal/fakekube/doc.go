// Package fakekube is an API server for tests: kinds without schemas, in memory, over HTTP, with list,
// watch, optimistic concurrency, preconditions, aggregated discovery and the part of server-side apply
// that matters to a manager of whole objects (fields a manager no longer sends are removed, others stay,
// conflicts without force).
//
// It can be made to fail: Hook sees every request first, Restart starts a new epoch of
// resourceVersions with an empty history, as a federation that was restarted has.
//
// It is for tests of packages under pkg/agent only; what a real API server does is tested in test/e2e.
package fakekube
