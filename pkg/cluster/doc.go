// Package cluster looks after the Cluster objects of a federation: what belongs
// to a cluster when it joins, how it is while it is there, and its orderly leave.
//
// # Joining
//
// A Cluster gets a finalizer, its execution namespace karmada-es-<name>, and the
// namespace karmada-cluster for leases and credentials. A cluster in Push mode
// also gets an agent in this process, which works with the credentials of
// spec.secretRef and is started anew when they change.
//
// A certificate for its agent is approved if whoever asks has a bootstrap token for
// this very name, or is that agent and renews. A request of either that does not fit
// is denied and told why; requests of others are left to people.
//
// # Health
//
// The agent renews a Lease and writes the condition Ready when its member turns
// healthy or unhealthy. This package only adds what the agent cannot say: that
// it has fallen silent. Ready becomes Unknown when the lease has not been renewed
// for the grace period. The period is measured with this process's clock from
// when a renewal was seen, so clocks need not agree. From Ready follow the taints
// not-ready (False) and unreachable (Unknown), both NoSchedule: nothing new goes
// there, nothing is evicted.
//
// # Leaving
//
// Deleting a Cluster must never delete what runs in the member. So the order is:
// the hosted agent is stopped; then the API servers get DetachGrace to notice
// that the cluster is leaving and to stop serving its agent; only then do the
// execution namespace and the lease go, and, when the namespace is gone, the
// finalizer: until then nobody can join under the name. An agent that is not
// served keeps what it has.
//
// # Invariants
//
//   - Nothing is written that would change nothing.
//   - At most one hosted agent runs per cluster; its successor starts after it
//     has ended.
//
// # Concurrency
//
// Clusters are looked at in parallel, each by one worker. A Host owns one
// goroutine per Push cluster; all have ended when its Start returns.
package cluster
