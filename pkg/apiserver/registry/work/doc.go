// Package work serves the group work.karmada.io.
//
// Bindings are stored. Besides status they have a subresource of ours,
// schedule, so that a scheduler's decision and the condition that explains it
// are one write.
//
// Works are a union: those that somebody created are stored, all others are
// computed by pkg/propagation/projection. Lists and watches come from the
// projection's memory and have its resource versions. A computed Work cannot be
// changed or deleted, the error says what to change instead; its status can be
// reported, and is folded into its binding.
package work
