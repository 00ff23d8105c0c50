// Package validation checks bindings (work.karmada.io/v1alpha2) of either scope
// on creation and update. Bindings are mostly written by the control plane
// itself, so the checks are few: what the wire contract constrains, and what
// would make a list with keys ambiguous.
//
// Objects are expected to be defaulted. The functions are pure, never panic and
// are safe for concurrent use.
package validation
