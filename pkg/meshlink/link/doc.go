// Package link decides, for each ordered pair of clusters of a mesh, whether the
// one may read the other, and which step is the first that is missing.
//
// Istio fails open: while it knows no gateway of a network, or a namespace has no
// label of its network, it hands out addresses of pods that nobody can reach. So
// the remote secret comes last: after the CA, the labels, the gateway, its address
// and a probe of it (Evaluate). Once it is there it is taken away again as soon as
// one of these is seen to be wrong. What is merely unknown, such as an istiod that
// restarts or a lost connection, takes nothing away before the hold time is over:
// a link is not to flap. Between clusters of one network there is no gateway, and
// what is about it is left out.
//
// A cluster that leaves is withdrawn from its peers before anything is cleaned in
// it, by what the istiods of its peers show (CanClean).
//
// Everything is a pure function of what agents reported; nothing reads a clock.
package link
