// Package install tests the chart as people use it: helm install of the federation
// into a real cluster and of agents into real members, from the images that make
// images builds, the tutorial on that, an upgrade and a rollback under load, and
// a federation of three API servers that loses one.
//
// The clusters are those of package realnode: real kubelets run real containers.
// Nothing is pulled: nodes have the images under the names that chart and tutorial
// use, those of the tutorial being programs of this repository.
package install
