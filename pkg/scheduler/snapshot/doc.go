// Package snapshot holds the members as the scheduler sees them: a picture that
// never changes once it is taken.
//
// A decision reads one Snapshot from beginning to end, so it is made about one
// state of the fleet and can be made again. A Store takes a new picture only
// when something that matters to scheduling has changed (Relevant says what);
// heartbeats, node counts and resource figures do not.
//
// A Snapshot and everything reachable from it is read only and may be shared by
// any number of goroutines. The methods of Store may be called from any
// goroutine.
package snapshot
