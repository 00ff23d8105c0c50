// Package events writes Kubernetes Events that say each thing once.
//
// The usual recorder of client-go rewrites an Event for every repetition: one
// etcd write each time a controller looks at an object again. Here an event is
// identified by what it says (object uid, component, type, reason, note). It is
// written when it is new; a repetition is only counted, in the metric
// flotilla_events_total. The name of the Event object is derived from the same
// identity, so a restarted process that says it again is answered "already
// exists", which writes nothing either.
//
// # Invariants
//
//   - Recording never blocks and never fails the caller. The queue is bounded;
//     when it is full the oldest waiting event is dropped and counted.
//   - Events of one Writer are written in the order in which they were recorded.
//   - When its context ends, a Writer writes what is queued for at most
//     Options.FlushTimeout, then returns.
//
// # Concurrency
//
// A Writer and the Recorders made from it may be used from any goroutine. Only
// Start runs in the background, and it starts no goroutines of its own.
package events
