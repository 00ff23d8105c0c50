// Package placement decides whether a cluster is meant by an affinity. The
// scheduler, the override policies and the taint policies ask the same question
// and have to get the same answer, so it is answered here.
//
// Everything is a pure function of its arguments and safe for concurrent use.
package placement
