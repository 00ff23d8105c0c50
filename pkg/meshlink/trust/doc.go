// Package trust decides and makes what the clusters of a mesh trust: one root,
// one intermediate per cluster under it, and the Secret "cacerts" that istiod
// reads them from.
//
// What istiod (1.31, security/pkg/pki/util and pilot/pkg/bootstrap/istio_ca.go)
// asks for, and what follows:
//
//   - Keys may be PKCS #8, SEC 1 or PKCS #1, RSA or ECDSA. Here they are ECDSA
//     P-256 in PKCS #8; keys that are given may be any of them.
//   - istiod loads a changed intermediate only if root-cert.pem is byte for byte
//     what it was. With ISTIO_MULTIROOT_MESH=true it also loads other roots, but
//     only if the one set contains the other. What it does not load it logs and
//     ignores, so effects are read back and never assumed. Bundle therefore
//     writes roots in one way only, the same bytes for every cluster.
//   - A workload gets its roots together with its certificate: what istiod has in
//     effect reaches the last workload one certificate lifetime later.
//
// The root changes in stages with a barrier over all clusters at each (State,
// Advance): both roots with the old signer, both with the new signer, the new
// root alone. The barrier opens when every cluster has the stage in effect and
// one lifetime of workload certificates has gone by. Invariant: at any moment
// every workload trusts the unexpired certificates of all others, whichever
// clusters are slow, cut off or restarted.
//
// Nothing here does I/O or reads a clock; keys come from crypto/rand. Values are
// not written after they were made, so they may be shared between goroutines.
package trust
