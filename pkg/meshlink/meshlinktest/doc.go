// Package meshlinktest is a member of a mesh without a cluster, for tests: an agent
// and an istiod that work on maps. They do with Works and a MeshMember what real ones
// do, as far as meshlink can tell, and each at the time the test chooses: Apply is the
// agent's applying of Works, Run its mesh part, Reload a look of istiod at its files.
//
// What it takes from istiod is what test/mesh has shown of the real one: when it loads
// a changed CA, and that it goes on with an earlier one otherwise.
//
// A Member is for one goroutine at a time.
package meshlinktest
