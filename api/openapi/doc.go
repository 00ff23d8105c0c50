// Package openapi has the OpenAPI definitions of the federation's own groups,
// generated from the types and their comments. References to types of
// Kubernetes are by model name and are resolved by Kubernetes' own definitions;
// the API server merges the two maps. Server-side apply reads list types and
// map keys from here, so a wrong marker on a type shows up as lost fields.
package openapi
