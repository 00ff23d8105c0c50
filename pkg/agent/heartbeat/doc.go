// Package heartbeat tells the federation that the cluster is there and how it is.
//
// Three things at three costs: a Lease is renewed on a beat, which is all that liveness costs; the
// Cluster object is registered once; its status is written only when it would differ. Numbers that
// move all the time (what pods request) are gathered and written at most once per beat.
//
// The status is shared with others (the control plane sets Ready to Unknown when the lease runs out):
// this package writes its own fields and condition types and keeps the rest. Because others write it,
// the agent looks at it again once a minute and whenever its lease had lapsed.
//
// Concurrency: each Run is called once, from a goroutine of its own; everything else is safe for
// concurrent use.
package heartbeat
