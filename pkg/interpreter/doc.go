// Package interpreter answers what federation has to know about an object of
// any kind: its replicas and what they need, its status, its health, what the
// statuses of many clusters add up to, and what must not travel to a member.
//
// Kinds that every cluster serves are interpreted by package native. Any other
// kind is passed through: it has no replicas, its whole status is reported, it
// is judged by the conventions for conditions, and its template shows the
// status of its only cluster.
//
// # Invariants
//
// Everything here is a pure function: no I/O, no clock. The agent calls it for
// every change of a status and the control plane for every fold of them, so it
// does not copy what it only reads.
//
// # Concurrency
//
// An Interpreter may be used from many goroutines at once. The methods that
// work in place must have their object to themselves.
package interpreter
