// Package istiod asks the istiod of a cluster what it makes of the mesh.
//
// Everything but the version is asked over one TLS connection, to istiod's port for
// proxies (https-dns, 15012), as a ServiceAccount of istio-system:
//
//   - The certificate authority (CreateCertificate): what is signed shows the CA in
//     effect. The last element of the answer is the bundle of roots, byte for byte
//     what workloads get; the issuer is the intermediate.
//   - Debug pages (clusterz, networkz) as resources of type istio.io/debug on an xDS stream. They are the same as those on istiod's HTTP
//     ports, where a token would have to go over the network in plain text. istiod
//     shows them to identities of istio-system only.
//   - Endpoints (EDS) as a proxy of this cluster's network gets them: the only place
//     where gateways stand for pods of other networks. istiod says of each endpoint which
//     cluster it is in. The page with all endpoints (endpointShardz) is not asked for: it
//     has 1.5 KiB for each of them, whichever is of interest.
//
// The stream says that it is a gateway (node type router) of istio-system. istiod
// makes endpoints for it as for a sidecar (but not with AMBIENT_ENABLE_MULTI_NETWORK,
// where gateways get others), and does not apply a Sidecar resource, which would hide
// most services from it. It asks and does not watch: each
// subscription is ended when it was answered, so nothing is pushed in between.
//
// The version is read from /version beside the metrics (http-monitoring, 15014): it
// is open to all, and asked for without a token. Nobody vouches for the answer, so it
// decides about little (docs/design/023).
//
// Concurrency: a Client may be used by many goroutines, a Session by one at a time.
// A Session whose call has failed is of no use any more.
package istiod
