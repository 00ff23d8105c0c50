// Package validation checks Meshes and MeshMembers (mesh.flotilla.io/v1alpha1) on
// creation and update. Each error has the path of the field and says what to write
// instead.
//
// Objects are expected to be defaulted. The functions are pure, never panic and
// are safe for concurrent use. Metadata is checked on creation; on update the
// API server's generic checks of metadata apply.
package validation
