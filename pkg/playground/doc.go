// Package playground runs a federation and its members on one machine, in the
// foreground and without containers: the federation API with its controllers,
// one member control plane per name (package member), and one agent for each.
//
// Everything is a child process, so a member can be killed, measured or
// stopped like the real thing. What is in the directory:
//
//	fed-config          kubeconfig of the federation's administrator
//	kubeconfig-<name>   kubeconfig of a member's administrator
//	ready               exists while all clusters were seen Ready
//	processes.json      name, pid and role of every child
//	logs/<name>.log     what a child says
//	playground.json     ports and mode, kept for the next start
//	federation/ members/ agents/   data, certificates
//
// Invariants: one playground at a time in a directory (a lock that dies with
// its holder); no child outlives the playground, however it ends; a child that
// dies is started again, with a growing delay and a line that says so; only
// loopback is listened on, and ports, certificates and data stay the same over
// a restart unless a port was taken meanwhile.
//
// Concurrency: [Run] starts the federation and the members in parallel, each
// in a goroutine that ends with the context. The process table, the state
// file and the narration are safe for all of them.
package playground
