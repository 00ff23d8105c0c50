// Package apiserver is the federation API server.
//
// It serves every built-in Kubernetes kind as a template, CustomResource
// Definitions, RBAC and service accounts exactly as Kubernetes does, because it
// is Kubernetes: the registries, validation, defaulting and server-side apply
// are those of k8s.io/kubernetes, linked in. Nothing runs here, so the node
// machinery is left out: no kubernetes Service, no kubelet client, no workload
// controllers, no exec, logs or evictions.
//
// Beside them it serves the federation's own groups (cluster, policy and work
// of *.karmada.io, agent of flotilla.io) from the same process: typed storage,
// defaulting and validation in process, no webhooks. Works are a projection of
// templates and bindings, see pkg/propagation/projection.
//
// Who comes in is decided in layers: certificates of agents must not be revoked
// (package revocation); an agent reaches what is its own (packages authorizer and
// admission/clusterrestriction), everybody else what RBAC gives, of which package
// roles keeps the beginnings. Secrets and stored Works are encrypted in etcd
// (package encryption), and who did what can be written down (package audit).
//
// Feature gates and pod capabilities are process globals in Kubernetes, so two
// servers in one process share them.
//
// This package, and pkg/playground, are the only ones that may import
// k8s.io/kubernetes.
package apiserver
