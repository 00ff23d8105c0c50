// Package apiserver tests the federation API server as its clients see it, over
// TLS, with everything real but other processes: embedded etcd, certificates,
// admission, projection, folding, garbage collection. No controllers of the
// federation run; the tests write what those would.
//
// All tests share one server, each in a namespace of its own, because feature
// gates and capabilities are globals of a process. Tests of starting and
// stopping run the test binary again as a server.
package apiserver
