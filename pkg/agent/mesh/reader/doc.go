// Package reader keeps the tokens with which the peers of a cluster read it.
//
// A token is bound to a Secret of its own in istio-system, flotilla-mesh-reader-<suffix>:
// deleting that Secret ends the token. The Secret is also what is remembered of the
// token, by annotations, and never the token itself: that is written into one Secret of
// the federation and then forgotten.
//
// A token goes through these states, each of which survives a crash in it:
//
//   - reserved: its Secret is there, without a hash. Whether a token was made is not
//     known; nobody has it. It is ended after a while, in which another agent of the
//     cluster (one that is replaced by this) may be making one.
//   - made: the hash is there. It was not delivered as far as is known, so another is
//     made.
//   - delivered: the federation has it.
//
// Invariants (Decide):
//
//   - A token is ended only if it was never made, or the federation has seen the newest
//     delivered one (which is then among those in use) and does not name this one. That
//     one has expired is no reason: the clocks of this agent, of the one before it and of
//     the API server may differ, and the API server ends it by itself.
//   - The newest delivered token is not ended. It is the one whose Secret was created
//     last, by the clock of the API server.
//   - All others are ended once the newest is seen: nothing is left behind for ever.
//   - No token is made that the federation could not use, and none again and again: there
//     are pauses, each longer than the last, after a fault and when the federation does
//     not keep what it gets.
//
// Decide is pure; Keeper does what it says. A Keeper is used by one goroutine.
package reader
