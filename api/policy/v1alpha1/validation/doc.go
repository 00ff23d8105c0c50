// Package validation checks objects of policy.karmada.io/v1alpha1 on creation
// and update: the constraints of the wire contract, and what must hold for a
// policy to mean something. Each error has the path of the field and says what
// to write instead.
//
// Not everything without effect is refused: manifests that the API takes elsewhere
// are to be taken as they are, and the API server warns about what is in vain.
//
// The rules for the spec hold for an update that changes it, and for no other.
// What was stored under older rules can so be labelled, finalized and deleted.
//
// Objects are expected to be defaulted. The functions are pure, never panic and
// are safe for concurrent use. Metadata is checked on creation; on update the
// API server's generic checks of metadata apply.
package validation
