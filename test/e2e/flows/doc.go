// Package flows tests what people do with a federation that is well: good input
// and bad, policies that compete, objects that collide, and who may do what.
// All tests share one playground; each has a namespace of its own.
package flows
