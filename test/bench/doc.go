// Package bench measures what a rollout costs on a playground: writes to etcd,
// processor time and memory of the control plane, and the time until members
// have what they should.
//
// Counts have ranges, and a run outside of them fails: they do not depend on
// the machine. Times are printed, never judged.
package bench
