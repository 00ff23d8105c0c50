// Package mesh serves the group mesh.flotilla.io: Meshes, which people write, and
// MeshMembers, through which the control plane and the agents of clusters speak
// about them.
//
// What a Mesh sums up in a table is from its status alone: clusters and links that
// are in it are the ones that are wanted.
//
// Everything here is made once and only read afterwards, so it may be used from
// many goroutines at once.
package mesh
