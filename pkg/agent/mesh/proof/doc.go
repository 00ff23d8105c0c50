// Package proof judges what the istiod of a cluster says about a peer.
//
// Everything is a pure function of answers of istiod: clusterz (Synced), networkz
// (GatewayKnown), and pods and endpoints of services (Endpoints).
package proof
