// Package address says where peers connect to the gateway of a cluster, from the Service
// of it.
//
// It follows istiod's own rules (1.31,
// pilot/pkg/serviceregistry/kube/conversion.go and controller/network.go), because what
// counts is what the istiods of the peers make of a Service: while they know no gateway
// of a network they hand out addresses of pods there.
//
// It is apart from the objects of a gateway so that agents, which look for addresses and
// make no objects, do without Istio's types and their memory. Everything is a pure
// function.
package address
