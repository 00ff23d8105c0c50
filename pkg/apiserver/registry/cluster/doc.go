// Package cluster serves the group cluster.karmada.io: Clusters, and their
// subresource proxy, which leads to the API servers of members.
//
// # The proxy
//
// A request to clusters/<name>/proxy/<path> is sent on to spec.apiEndpoint of
// the Cluster with <path>. It is authenticated with the token in the Secret
// spec.impersonatorSecretRef, and impersonates the caller, so that the member's
// own rules decide. Watches stream and upgrades (exec, attach, port-forward) are
// passed through.
//
// Invariants: nothing that the caller has sent says in the member who he is; the
// only identity there is the one that this server has authenticated. A request
// never leaves the path of spec.apiEndpoint. Tokens are neither logged nor part
// of an error.
//
// # Concurrency
//
// Everything here may be used from many goroutines at once. Connections to a
// member are kept and shared among callers: a request carries its identity
// itself. They are replaced when what they were made from changes.
package cluster
