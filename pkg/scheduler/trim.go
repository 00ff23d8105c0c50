package scheduler

import (
	"k8s.io/apimachinery/pkg/api/meta"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Trim takes out of an object what the scheduler never reads, before a cache
// keeps it: the larger part, with many members. It is for a process in which
// nobody but the scheduler reads that cache, and has the type of a
// cache.TransformFunc. Decisions may be written with trimmed objects, because
// the subresource takes nothing from them but the decision.
func Trim(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	switch o := object.(type) {
	case workv1alpha2.Binding:
		o.GetStatus().AggregatedStatus = nil
	case *clusterv1alpha1.Cluster:
		o.Status.ResourceSummary = nil
		o.Status.NodeSummary = nil
	}
	return object, nil
}
