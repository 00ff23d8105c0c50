// Package controlplane puts the controllers of the federation into a manager. It
// only wires, so that cmd/controller-manager and the API server's all-in-one mode
// run the same.
package controlplane
