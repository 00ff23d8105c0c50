// Package registry has the scheme and the common storage of the federation's
// own API groups.
//
// Each type is registered twice in Scheme, under its version and as the internal
// version, so there are no internal types and no conversion code; only the
// deprecated v1alpha1 bindings convert, to v1alpha2. What differs from kind to
// kind (what belongs to the spec, how to validate, which columns to print) is a
// Resource, a table of functions; one strategy and one store serve them all.
package registry
