// Package inprocess runs a federation's API server in the process of a test, on a free
// port of loopback and in a directory of its own, and controllers against it.
//
// Invariants: what was started has ended when Run, or a test, ends, and the directory
// is gone.
//
// Concurrency: one server per process, which all tests of a package share.
package inprocess
