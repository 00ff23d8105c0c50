// Package rotation tests that tokens and the root change while requests go on,
// whoever is killed or cut off meanwhile.
package rotation
