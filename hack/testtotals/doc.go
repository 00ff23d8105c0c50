// Command testtotals reads the events of "go test -json" and prints what a
// person wants to see of them: a line for each package, everything a failed test
// said, tests that took long, and, once a minute, what is still running. It ends
// with the numbers of tests passed, failed and skipped, and fails if a test, a
// package or a build has failed.
//
//	go test -json ./... | go run ./hack/testtotals [-totals file]
//
// With -totals the numbers are also appended to a file, as "passed failed
// skipped", so that several runs can be summed up.
package main
