// Package wire writes and reads what an agent says to istiod and hears from it: requests
// and answers of Envoy's discovery service and of Istio's certificate service, in the few
// fields that are of use here.
//
// The generated code of go-control-plane and istio.io/api would do this as well, and is
// what the tests compare with. But each of its packages brings the descriptions of all its
// messages, and of those that they refer to, into the process: 3 MiB resident in an agent
// that has 25, for every member of a federation, in a mesh or not. The numbers of fields
// are those of published protocols, which cannot change.
//
// Fields that are not known are skipped. Functions keep no state, and nothing that is
// returned refers to what was read.
package wire
