// Package version says which Flotilla this is, and which Kubernetes is linked into it.
//
// Version is set when a release is built; the rest comes from what the go command writes into every
// binary. Nothing here changes at run time.
package version
