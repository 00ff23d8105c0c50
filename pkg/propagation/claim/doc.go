// Package claim decides which propagation policy a template belongs to, and
// records the decision on the template.
//
// A claim is a label with the policy's permanent id and annotations with its
// name. It is stamped by the API server's admission in the same write that
// creates or changes a template, and by the controller in this package for
// templates that were there before their policy. Both ask the same Index, so
// they cannot disagree.
//
// # Which policy wins
//
//  1. The policy that holds the claim keeps it for as long as it exists and
//     selects the template, unless another one preempts it. A policy preempts
//     when its preemption is Always and either its priority is higher than
//     that of the holder, or it is a PropagationPolicy and the holder is a
//     ClusterPropagationPolicy (whatever the priorities: the namespace's owner
//     goes before the platform's). A ClusterPropagationPolicy never preempts a
//     PropagationPolicy.
//  2. Otherwise: PropagationPolicies of the template's namespace go before
//     ClusterPropagationPolicies; then the higher priority; then a selector
//     that names the template before one that selects by label before one that
//     only gives the kind; then the alphabetically smaller policy name.
//
// This is a strict total order over the policies that can select one template,
// so the result does not depend on the order in which policies were seen.
//
// A selector gives an apiVersion, but only its group is compared: a kind that is
// served in several versions is one object, and it must not change hands when
// somebody edits it through another version.
//
// # Concurrency
//
// Index is safe for concurrent use. Every other function is pure. Policies
// given to an Index are shared with it and must not be changed afterwards.
package claim
