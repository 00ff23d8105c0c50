// Package credentials keeps what the processes of a federation need to trust each
// other in Secrets of the cluster that hosts them: CAs and keys in one, and a
// kubeconfig each for the administrator, the controller-manager and the scheduler.
// The chart runs it before an installation or upgrade, and once a day.
//
// # Invariants
//
//   - A CA, a key of service accounts or of encryption that is there is never
//     replaced. What is lost is an error that says what to put back, and so is a lost
//     Secret with all of them: as long as there is a kubeconfig that they signed, they
//     are not made anew.
//   - A kubeconfig is written when there is none that works, when a third of its
//     certificate's life or less is left, or when the server or the CA is another.
//     Otherwise nothing is written.
//
// # Concurrency
//
// Ensure may run several times at once, in several places: every write depends on
// what was read, and whoever comes second takes what is there.
package credentials
