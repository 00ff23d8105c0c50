// Package rotation tests that the root changes while requests go on, whoever is
// killed or cut off meanwhile.
package rotation
