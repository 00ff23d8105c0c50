// Package framework is what the parts of a scheduling decision agree on: the
// request, the filters that a cluster has to pass, and the rejections that
// explain why it did not.
//
// Filters are pure. They read the request and one cluster of a snapshot and
// answer with the reason for which the cluster does not fit, or with none. The
// first filter that objects decides; its name and its reason are kept, so every
// decision can be explained cluster by cluster.
//
// Nothing here has state. A Request is made for one decision and not shared.
package framework
