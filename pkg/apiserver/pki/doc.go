// Package pki makes and renews the certificates of a federation API server in
// its data directory.
//
// Layout (PEM, private keys 0600):
//
//	ca.crt ca.key                          the federation's CA: serving and client certificates
//	serving.crt serving.key                the API server's own certificate
//	admin.crt admin.key                    group system:masters, for the admin kubeconfig
//	controller-manager.crt/.key            the controllers, and beside them a kubeconfig
//	scheduler.crt/.key                     the scheduler, and beside it a kubeconfig
//	front-proxy-ca.crt front-proxy-ca.key  CA of the aggregation layer
//	front-proxy-client.crt/.key            the aggregator's client certificate
//	sa.key sa.pub                          signs and verifies service account tokens
//
// What others trust (the CAs, the key of service accounts) may lie in a directory
// of its own that is only read, such as a mounted Secret: see EnsureLeaves.
//
// Ensure is idempotent: what is there and good is left alone, what is about to
// end or does not cover the wanted names is signed anew by the same CA. A CA is
// never replaced: that would cut off every agent. Files are replaced by rename,
// so a reader never sees half a certificate. Ensure is not safe for concurrent
// use on one directory.
package pki
