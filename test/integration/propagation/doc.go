// Package propagation tests the propagation controllers against the real API
// server, in one process: claims, bindings, statuses, and what they cost in
// writes. No scheduler and no agents run; the tests write what those would.
package propagation
