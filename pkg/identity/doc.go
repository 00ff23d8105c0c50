// Package identity says what the identity of an agent is, for everybody who has to
// agree on it without talking to each other: the API server that admits requests and
// checks certificates, the controller that approves, the tools that revoke.
//
// An agent is the user system:cluster:<name> in the one group system:clusters, by a
// client certificate of the signer kubernetes.io/kube-apiserver-client. What such a
// request has to look like is in Request.Check. Which certificates count no more is
// in a ConfigMap, see Revocations.
//
// Everything is a pure function.
package identity
