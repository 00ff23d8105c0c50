// Package gateways tests the ways into a cluster other than one address of a load balancer:
// nodes, addresses that a person writes, another port, several addresses of which one is
// dead, and gateways that istiod makes of the Gateway API.
//
// For each it is asked whether meshlink and istiods agree on where that is (networkz, EDS),
// whether requests get there, and whether the status of the Mesh is true.
//
// Istiods of the lab make Deployments and Services of Gateways, with Istio's own template;
// us has neither the Gateway API nor such an istiod until a test gives it.
package gateways
