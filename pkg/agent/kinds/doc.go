// Package kinds knows which kinds the member serves: how a manifest's kind is addressed, which kinds
// can be listed, and what to report as the cluster's API enablements.
//
// It reads aggregated discovery (two requests, whatever the number of groups; served by Kubernetes
// 1.26 and later) at the start, when a CustomResourceDefinition changes, when an unknown kind is
// asked for (at most once per Options.MinInterval), and every Options.Interval for what does not
// announce itself, such as aggregated API servers.
//
// A group that fails to answer keeps what it served before and makes Snapshot.Complete false.
//
// Concurrency: Kinds is safe for concurrent use. Snapshots are immutable.
package kinds
