// Package lab runs a playground for tests, and types kubectl beside it.
//
// A [Lab] is a real playground: the federation, its members and their agents
// are processes that can be stopped and killed. A [Session] is one test at a
// keyboard: it runs bin/kubectl, never the machine's, and looks again and again
// until what it waits for is on the screen, or says what was there instead.
//
// The binaries are taken from FLOTILLA_BIN, or bin/ of this repository (make
// build puts them there).
//
// Invariants: a Lab leaves no process behind, however the test ends; a test
// that fails shows what the playground said and the ends of its logs.
//
// Concurrency: a Lab is safe for all tests of a package at once. A Session
// belongs to one test.
package lab
