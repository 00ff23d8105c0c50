// Package meshlink tests what a user of a Mesh gets, with real istiods and with
// requests: three clusters in three networks, one, or some of each; links where
// workloads need them; Services where somebody calls them; failover.
//
// All tests share one lab and run one after the other. Each makes its Mesh and
// deletes it; the CA stays, so only the first has to start istiods again.
package meshlink
