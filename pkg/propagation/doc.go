// Package propagation is the way of a template through the control plane. Its
// parts meet in API objects only:
//
//   - claim: a policy claims a template;
//   - binding: a claimed template gets a binding, which the scheduler fills;
//   - projection and override: what each cluster gets is computed, in the API
//     server;
//   - status: what the clusters report comes back up.
//
// This package wires those parts that are controllers.
package propagation
