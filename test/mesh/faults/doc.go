// Package faults tests what a person is told when a mesh cannot be made: which
// step is missing, why, and the way out; and that nobody is sent astray meanwhile.
package faults
