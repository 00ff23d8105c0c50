// Package roles is what a federation grants from the start: to agents that want to
// join, to its own components, and to people.
//
// It is reconciled at each start of an API server, by the rules of Kubernetes' own
// bootstrap roles: what is missing is added, what somebody added stays, and a role
// with the annotation rbac.authorization.kubernetes.io/autoupdate: "false" is left
// alone.
//
// # For people
//
// flotilla-viewer, flotilla-editor and flotilla-admin are aggregated: each
// ClusterRole with the label rbac.flotilla.io/aggregate-to-<role>: "true" is part
// of one. Each includes the one before. They are about the federation's own groups;
// templates are of Kubernetes' kinds, for which view, edit and admin are there.
// Those include the namespaced kinds of ours.
//
// Works hold the manifests of Secrets, so whoever may not read Secrets may not read
// Works: the viewer does not.
//
// # For components
//
// The controllers read templates of every kind there is, Secrets among them, and
// patch labels and statuses of them. That is most of what an administrator may, so
// whoever has their kubeconfig is to be trusted like one. They may not grant, nor
// speak for anybody but agents, nor create or delete more than bindings, Works,
// namespaces, leases, events, the parts of clusters in a mesh, and Secrets in
// karmada-system. The scheduler reads clusters and bindings, and decides.
package roles
