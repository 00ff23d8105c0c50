// Package member runs the whole control plane of one member cluster in one
// process: etcd, kube-apiserver, kube-controller-manager and kube-scheduler
// as Kubernetes ships them, and kwok in the place of kubelets. Pods are
// scheduled, become Running and Ready, and cost nothing.
//
// One process for all of them shares code, type registries and heap slack,
// which is about three quarters of the memory of four. What makes it possible: the feature
// gates and component versions are globals of the process, so [Run] parses
// the flags of all components first and sets the globals once; the components
// are entered below their cobra commands, which would each install a signal
// handler and set up logging again. A second member needs a second process
// for the same reason.
//
// Nodes need not be simulated: with another address than loopback, kubelets
// can join, and [Config] says what changes then.
//
// Invariants: only loopback is listened on, unless another address is asked
// for, and etcd on a unix socket in the
// member's directory; everything a member knows is in that directory, so
// SIGKILL at any moment loses nothing that was acknowledged; the ready file
// exists only while the process that wrote it serves.
//
// Run changes the working directory of its process: the socket is named
// relative to it, because the name of a unix socket is limited to about 104
// bytes and a path to a member's directory is not.
package member
