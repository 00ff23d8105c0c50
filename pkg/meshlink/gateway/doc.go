// Package gateway says what a cluster needs so that traffic from other networks
// gets into it, and where its peers connect.
//
// Objects are those that Istio documents for several networks (its chart
// "gateway" with networkGateway, samples/multicluster/expose-services.yaml). All
// are in istio-system except where they say otherwise.
//
// Addresses follow istiod's own rules (1.31,
// pilot/pkg/serviceregistry/kube/conversion.go and controller/network.go), because
// what counts is what the istiods of the peers make of a Service: while they know
// no gateway of a network they hand out addresses of pods there.
//
// Everything is a pure function.
package gateway
