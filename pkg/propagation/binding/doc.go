// Package binding keeps one binding for every claimed template: a
// ResourceBinding beside a namespaced template, a ClusterResourceBinding for a
// cluster-scoped one. A binding brings together what a template wants (its kind,
// its replicas) and what its policy says about placement; the scheduler adds the
// clusters.
//
// # What is written
//
// Of a binding, this package owns the claim, the owner reference, the reference
// to the template, the replicas and everything that comes from the policy. The
// rest, spec.clusters above all, it leaves as it is. It writes when one of its
// fields differs, and then once.
//
// spec.resource.resourceVersion is that of the template when the binding was
// made, and stays. To follow it would cost a write for every change of a
// template, those of its status included, and nothing needs it: what clusters
// get is computed from the template itself.
//
// # Life of a binding
//
//   - A template loses its claim: so does the binding. Everything else stays,
//     and so does what was placed, until a policy claims the template again or
//     the template goes.
//   - A template is deleted: the binding is deleted at once, after the API
//     server has confirmed that the template is gone. The owner reference is only
//     there so that the garbage collector can do the same without us.
//   - A template is deleted and made anew before that: the binding follows it.
//     Its reference and owner get the new UID, the clusters stay, so nothing
//     moves.
//   - Two templates of the same name and kind, in different API groups, or
//     different only in characters that binding names cannot have, map to one
//     binding. Whoever came first keeps it; the other template gets an event that
//     names both.
//
// A policy with activationPreference Lazy reaches a binding only together with a
// change of the template.
//
// # Concurrency
//
// The unit of work is a template; different ones are worked on in parallel.
package binding
