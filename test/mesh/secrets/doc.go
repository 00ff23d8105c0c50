// Package secrets tests where credentials of a mesh are and are not, and what they
// are good for.
package secrets
