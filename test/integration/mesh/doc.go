// Package mesh tests the mesh controller against the real API server, in one process:
// a Mesh becomes Ready, clusters come and go, tokens and roots change, and what all
// that costs in writes. Agents and istiods are those of package meshlinktest.
package mesh
