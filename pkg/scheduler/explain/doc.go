// Package explain turns what the scheduler found out into words.
//
// A Diagnosis is what a decision was based on: cluster by cluster which filter
// kept it out and why, group by group what was missing, and the names in the
// placement that belong to no cluster. Its text is a pure function of it, in a
// fixed order, so that equal findings give equal conditions and nothing is
// written twice.
package explain
