// Package projection computes the Works of every cluster from templates,
// bindings and override policies:
//
//	work = override(revise(template, replicas(cluster)), cluster)
//
// Nothing is stored per (template, cluster). A Projection is told of every
// change of its inputs (SetBinding, SetTemplate, ...); it keeps per pair what a
// reader needs to notice a change, two counters and two hashes, and renders a
// manifest when somebody reads it. Memory is therefore O(templates + bindings)
// plus about two hundred bytes per pair.
//
// # Stubs
//
// SetLinks says which clusters call which. A Service that is placed in a cluster has
// a stub in every other that calls it: the same Work, computed from the same
// template and binding, as a ClusterIP Service. It is no share: what a cluster
// reports of it is kept here, as for namespaces, and not in the binding. When the
// cluster gets a share, or loses it, that one Work changes, with its name and UID.
//
// # Invariants
//
//   - Render is a pure function: no clock, no I/O. Equal inputs give byte-equal
//     Works on every replica of the API server.
//   - A Work goes away for one reason only: its binding is gone or no longer
//     names the cluster (or its namespace is gone), and the cluster is not to have
//     a stub either. A template that is missing
//     or cannot be rendered leaves the Work in place, without manifests and
//     with the condition Rendered=False; agents then leave the member alone.
//   - A cluster that is not registered has no Works to read. Reads fail with
//     NotFound instead of returning an empty list, which an agent would take
//     for the wish to delete everything.
//
// # Resource versions
//
// The projection has its own: 64 bits, the epoch of the process in the high
// half and a counter in the low half. A watch from another epoch, or older than
// the deletions that are still remembered, ends with 410 Gone and the client
// lists again. Watches are level-triggered: a slow client skips intermediate
// states of a Work but never a Work. Labels select before anything is rendered,
// and who watches by them is told that a Work is gone when it no longer has them. A
// watch of all clusters goes on when one joins and ends with 410 Gone when one
// leaves: there is no deletion it could be told of. Status changes have their own counter, so
// that agents, who make them, are not woken by them.
//
// # Concurrency
//
// All methods are safe for concurrent use. One lock guards the index; rendering
// happens outside of it, on inputs that are never modified.
package projection
