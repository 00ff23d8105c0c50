// Package replicas tests a mesh in which one cluster has several istiods, and an agent
// that is a pod of it: it asks each of them by its own address, as EndpointSlices tell.
package replicas
