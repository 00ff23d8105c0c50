// Package status brings what members report up to the template: from the agents'
// reports to the status of the binding, and from there, through the interpreter,
// to the status of the template.
//
// # Invariants
//
//   - Nothing is written that would change nothing.
//   - The status of a template is only written on the condition that the template
//     is still the one that was read; on a conflict it is read again.
//   - Reports about a former incarnation of a template do not reach the next one.
//   - While the kind of a template is not served, on its way to another version, its
//     reports wait: the binding stays, and agents do not repeat them.
//   - An event says a thing once, and names all clusters it is about.
//
// # Concurrency
//
// The unit of work is a binding; different ones are worked on in parallel.
package status
