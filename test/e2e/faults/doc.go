// Package faults tests what is left of a federation when its parts die, hang or
// leave: nothing acknowledged is lost, nothing is deleted that nobody asked for,
// and all is as wanted again soon after the parts are back.
//
// All tests share one playground and run one after the other. Each begins with
// every cluster Ready and leaves it so.
package faults
