// Package gateway says what a cluster needs so that traffic from other networks
// gets into it. Where its peers connect then is package address.
//
// Objects are those that Istio documents for several networks (its chart
// "gateway" with networkGateway, samples/multicluster/expose-services.yaml). All
// are in istio-system except where they say otherwise.
//
// Everything is a pure function.
package gateway
