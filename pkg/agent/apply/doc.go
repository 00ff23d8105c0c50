// Package apply makes the member look as the works say and keeps it that way.
//
// The Engine holds, per object, what is wanted (the manifest as bytes), what was last accepted by
// the member (a hash) and a few words about what is there (UID, resourceVersion, in sync or not,
// reflected status). It never holds live objects: one is compared and reflected when it passes by,
// in the watch or in the answer to an apply, and dropped. So memory grows with the manifests, and a
// change that means nothing costs one comparison.
//
// Everything that touches an object goes through one queue keyed by the object, so an apply and a
// delete of the same object never overlap, and several workers take different objects at once.
//
// Invariants:
//   - Nothing is overwritten that someone else put there: the first apply looks before it acts
//     (ownership.go), and only a conflict resolution that says so takes the object over.
//   - Nothing is deleted that does not carry our label and this work's name, that another federation
//     brought, or that we have not applied (its managedFields or our record say so), and only the very
//     object that was looked at (UID precondition). Applies are for one UID, too.
//   - An object is gone when a server says so that has looked for it. That a path is not served says nothing:
//     what is to be removed is looked for in every version, and went with its kind when two readings of what
//     the member serves have none. What is wanted in a version that is not served counts as not applied.
//   - Until the federation has listed its works, an object that was made from a newer state of the same
//     template than is remembered is left alone: the inventory may be behind.
//   - An object that differs from its manifest in a field of ours is applied again at once; an
//     object that differs in the same way right after an apply is the member's way to write that
//     value, is remembered as such (Fingerprint) and left alone.
//   - Items that a person's tool left in a list of ours are taken back with it (reclaim.go); what
//     controllers add stays.
//   - A repair that does not last is repeated ever more slowly, not in a loop.
//
// Comparison follows server-side apply: maps are compared by the manifest's keys, lists by index
// and length (Subset).
//
// Concurrency: Engine is safe for concurrent use; one mutex guards its maps, no I/O happens under it.
package apply
