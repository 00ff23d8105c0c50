// Package revocation refuses certificates of agents that an administrator has
// revoked, before they end by themselves.
//
// It wraps the authenticator of the API server and looks at client certificates in
// the group of agents only: everybody else, and an agent that the controllers host,
// is let through as before. Which count no more is in the ConfigMap
// kube-system/flotilla-revoked-agents, see package identity for its format; a Guard
// follows it with a watch.
//
// # Invariants
//
//   - It fails closed. Until the ConfigMap has been read, or found not to be there,
//     requests of agents wait, and are refused if that takes too long.
//   - A refused request is answered 401, as one with a certificate of another CA is.
//   - A request is looked at when it begins. A watch that is open when its agent is
//     revoked goes on until it ends, within the hour.
//
// # Concurrency
//
// Check and Wrap's result may be used from many goroutines; Run is called once.
package revocation
