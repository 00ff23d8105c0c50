// Package plugins has the filters of the scheduler, one per file.
//
//	ClusterAffinity   the placement selects the cluster
//	ClusterEviction   the template is not being moved away from it
//	TaintToleration   its taints are tolerated
//	ClusterReady      it is ready, and not being removed
//	APIEnablement     it serves the template's kind
//
// What runs is not moved for a passing weakness: a cluster that holds the
// template already passes in spite of any taint, of being not ready, and of an
// incomplete list of kinds. Taking work away from a failed or tainted cluster is
// eviction, which is decided elsewhere and arrives here as an eviction task.
//
// Filters have no state and may be used from any goroutine.
package plugins

import "github.com/flotilla-io/flotilla/pkg/scheduler/framework"

// Filters returns all filters in the order in which they are asked: first what
// the user wrote, then what the cluster's operator wrote, then what the cluster
// reports.
func Filters() []framework.Filter {
	return []framework.Filter{
		ClusterAffinity{},
		ClusterEviction{},
		TaintToleration{},
		ClusterReady{},
		APIEnablement{},
	}
}
