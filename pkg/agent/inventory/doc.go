// Package inventory is the agent's memory: what it manages in the member, what each object should
// look like, and which federation said so.
//
// It is kept in a directory, one file per work, so that an agent that was killed goes on repairing
// drift and finishing deletions before it has reached the federation again. The files are the
// agent's own; a lost directory costs one scan of the member (objects carry their work's name), not
// the workloads.
//
// Invariants:
//   - A file is either absent or whole: it is written beside, synced and renamed into place.
//   - A directory that cannot be written (a full disk) stops nothing: what should be in it counts in
//     memory until it can be, and Trouble says why.
//   - Files may hold Secrets: the directory is 0700, files are 0600.
//   - Diff and Guard are pure. Whether a set of deletions is believable is decided here and only
//     here, from two numbers: how many objects would go, and how many there are.
//
// Concurrency: Store is safe for concurrent use. Records are values; who holds one must not change
// the slices of another.
package inventory
