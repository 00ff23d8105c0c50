// Package native interprets the kinds that every Kubernetes cluster serves.
//
// It answers, for one kind at a time, the questions federation has to ask
// about an object: how many replicas it wants and what each of them needs, how
// to give it another count, what of its status is worth reporting, whether it
// is healthy, what the statuses of many clusters add up to, and what must be
// taken off before it travels.
//
// # Invariants
//
//   - Pure functions of their arguments: no I/O, no clock, no package state
//     that changes. The same inputs give the same output, and the order of the
//     clusters never matters.
//   - What is read from an object or a report may be any JSON. A field of the
//     wrong type is an error that names it, or counts as absent where the rest
//     of the answer is still of use; nothing panics.
//   - An aggregated status is one that the federation's API server accepts: it
//     validates status updates as strictly as any cluster does, and Jobs are
//     the strictest.
//   - An aggregation that leads to what is there already changes nothing and
//     says so, however the server has spelled it (absent, null or zero).
//
// # Concurrency
//
// Every function may be called from many goroutines at once as long as they do
// not share the object that the function changes.
package native
