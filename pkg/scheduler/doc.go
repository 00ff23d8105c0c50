// Package scheduler chooses clusters for bindings and divides their replicas.
//
// Schedule is the decision: a pure function of a snapshot of the clusters and of
// one binding, which returns what it decided and what it found out about every
// cluster. The controller around it finds bindings that need a decision
// (Trigger), makes it, and writes it down.
//
// # Invariants
//
//   - A cluster that does not fit is never chosen, and spec.clusters never holds
//     an entry of zero replicas for a template that has replicas.
//   - What the placement asks for and this version does not do is refused in the
//     condition Scheduled, never replaced by something else.
//   - If no decision is possible, what was placed stays where it is, except on
//     clusters that are gone or being left. Nothing is removed for want of a
//     better place.
//   - A binding that its policy has released is never placed again; it only loses
//     clusters that are gone.
//   - One write per decision, through the subresource "schedule", and none if
//     nothing changes: not for heartbeats, not for repeating a message.
//   - Divided replicas move only for a reason that a person gave (another
//     placement, another count, a rebalance) or because a cluster is gone. What
//     is duplicated, or has no replicas, follows the set of clusters that fit.
//
// # Concurrency
//
// Workers run in parallel, one per binding at most. They share only the snapshot,
// which is never changed. A write carries the resourceVersion that the decision
// was made on; if the binding has moved on, it is decided again.
package scheduler
