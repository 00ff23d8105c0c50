// Package fakeistiod is an istiod for tests: its certificate authority, debug pages and
// endpoints over TLS, as the real one serves them, with the answers that a test sets. It
// uses the generated code that agents do without.
//
// What a real istiod does is tested in test/mesh.
package fakeistiod
