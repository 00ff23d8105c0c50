// Package division splits a whole number of replicas over clusters.
//
// Everything here is a pure function over names and numbers: no API objects,
// no clock, no I/O, and no state between calls, so any function may be called
// from any number of goroutines.
//
// Invariants, all of them checked by property tests:
//   - a divided result adds up to exactly the replicas asked for;
//   - a result never holds an entry of zero replicas;
//   - a result depends on the set of clusters, never on the order they come in;
//   - the weighted division is house-monotone: asking for one replica more
//     gives one cluster one more and takes nothing from any other.
package division
