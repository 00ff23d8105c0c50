// Package mesh tests the mesh with real istiods beside the members of a
// playground.
package mesh
