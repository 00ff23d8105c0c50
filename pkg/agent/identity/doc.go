// Package identity makes an agent somebody in its federation, and keeps it so: a client certificate for
// the user system:cluster:<name> in the group system:clusters.
//
// It begins with a bootstrap token and hashes of the federation's CA. The CA is read from the ConfigMap
// kube-public/cluster-info over a connection that cannot be verified yet, and only certificates in it
// that have one of the hashes count. From then on every connection is verified. With the token a
// certificate is asked for, and before it ends another one, with the certificate itself. The private key
// is made here, for each certificate anew, and leaves the process only for its Store.
//
// What it holds on to:
//   - A certificate that is stored is used, whatever became of the token. Only the federation's word
//     makes it useless (401, see Identity.Config), not this machine's clock.
//   - Whoever has no certificate waits for one: requests of the Config's transport block until there is
//     one or their context ends. The agent can repair drift meanwhile.
//   - Nothing ends Run but its context. What a person has to set right is logged, is what Trouble
//     returns, and is tried again; a new token in its file is seen within a second.
//   - The time to renew is between 70 and 90 % of the certificate's life, by chance, as the certificate
//     manager of client-go has it, but by the federation's clock: the Date of its answers counts.
//   - A server that shows a certificate of another CA has the CA looked for again. Pinned ones are taken to
//     those that are known, and stored; so a CA can be replaced while both hashes are pinned.
//   - A renewal breaks no request: new ones go over new connections, the old ones are closed when they
//     have had time to end.
//
// client-go's certificate manager is not used. It brings every built-in type into the process (a third
// more memory), asks anew instead of looking again after a failure, tells nobody why it fails, and its
// clock cannot be set.
//
// An Identity may be used from several goroutines; Run is called once.
package identity
