// Package pki makes the certificates of a playground: one authority per
// member and the leaves signed by it, and the client certificates of agents
// signed by the federation's authority.
//
// Invariants: a private key is readable by its owner only; a file is replaced
// by rename, so a reader never sees half of it; [Authority.Ensure] is
// idempotent and leaves a good certificate alone, so it is called at every
// start and doubles as renewal.
//
// Nothing here is safe for concurrent writers of the same files. The
// playground's directory lock sees to that.
package pki
