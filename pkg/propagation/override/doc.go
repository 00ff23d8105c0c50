// Package override changes a manifest on its way to one cluster, as override
// policies ask.
//
// Policies of the cluster scope come first, then those of the manifest's
// namespace, each in the order of their names; rules of a policy come in the
// order they are written. Within a rule: image, command, args, labels,
// annotations, field, plaintext. A later change sees what an earlier one did,
// but which policies select the manifest is decided before any of them.
//
// Apply is a pure function of its arguments: no clock, no I/O, no state, equal
// results for equal arguments in whatever order the policies are given. It
// changes the manifest only when every rule could be applied. It is safe for
// concurrent use as long as nobody else uses the manifest; cluster and policies
// are only read.
package override
