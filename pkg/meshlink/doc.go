// Package meshlink is the controller of Meshes: it reads how things are, has package
// plan decide what comes next, and writes that in the order in which it is given.
//
// Everything it wants of a member travels as a Work or in a MeshMember, and everything
// it knows of one comes from the agent; no member is ever connected to. What is
// decided, and why, is in packages plan, trust, gateway, remotesecret and link, none of
// which does I/O.
//
// # Invariants
//
//   - A plan is made from a picture that has all writes made before: caches that have
//     not caught up with them are waited for. Updates are on the condition that the
//     object is still what the plan was made from. A write that fails ends those of its
//     cluster, and what needs them; one that is for the mesh ends all. The status is
//     written, and times are kept, all the same.
//   - Nothing is remembered that a restart would miss. What is kept in memory are the
//     tokens of readers, which are read again, and when links by placement were asked
//     for last, which begins anew.
//   - What a Mesh has left behind that went without its finalizer is taken away in the same
//     order as if it were deleted. That a Mesh is gone is read live: a cache may not have it
//     yet. How long it has been gone is in memory, too, and begins anew.
//   - Tokens and keys are never logged, nor part of an error.
//
// # What it costs while there is no Mesh
//
// Two watches of empty lists, Mesh and MeshMember, and at the start one look whether there
// are Works of a Mesh that is gone. Clusters and ResourceBindings are
// watched by other controllers anyway, through the same cache. Works are followed from
// when there is a first Mesh, by their label. Secrets are never watched: those with
// roots are read at each look, those with tokens when a MeshMember names one that is
// not known.
//
// # Concurrency
//
// Meshes are looked at one after the other, because they compete for clusters. News
// within a tenth of a second lead to one look.
package meshlink
