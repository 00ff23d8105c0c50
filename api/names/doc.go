// Package names holds what the parts of the federation have to agree on without
// talking to each other: how objects are named after one another, and the
// well-known labels, annotations, finalizers, taints, namespaces and events.
//
// Everything is a constant or a pure function.
package names
