package scheduler

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// released reports whether the clusters of a binding are settled because no policy
// decides about it: what was placed stays where it is until another policy claims
// the template, or the template goes.
//
// A binding that was made for a policy has a permanent id, and is released when it
// carries no claim any more. One that a person has made has neither: it is placed
// as long as it has no clusters, and then stays. To have it placed again, take
// its spec.clusters away.
func released(b workv1alpha2.Binding) bool {
	return !claimed(b) && (madeForPolicy(b) || len(b.GetSpec().Clusters) > 0)
}

// claimed reports whether a binding carries any part of a policy's claim.
func claimed(b metav1.Object) bool {
	return hasAny(b.GetLabels(), names.PropagationPolicyPermanentIDLabel, names.ClusterPropagationPolicyPermanentIDLabel) ||
		hasAny(b.GetAnnotations(), names.PropagationPolicyNameAnnotation, names.PropagationPolicyNamespaceAnnotation,
			names.ClusterPropagationPolicyNameAnnotation)
}

func madeForPolicy(b metav1.Object) bool {
	return hasAny(b.GetLabels(), names.ResourceBindingPermanentIDLabel, names.ClusterResourceBindingPermanentIDLabel)
}

func hasAny(m map[string]string, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool {
		_, ok := m[key]
		return ok
	})
}

// withoutGone returns a copy of a released binding without the clusters that are
// gone, or nil if all are there. Nobody says where else to go, so their replicas
// go nowhere, and the condition still tells of the last decision.
func withoutGone(b workv1alpha2.Binding, snap *snapshot.Snapshot) workv1alpha2.Binding {
	if !holdsGone(b.GetSpec(), snap) {
		return nil
	}
	next := b.DeepCopyObject().(workv1alpha2.Binding)
	next.GetSpec().Clusters = slices.DeleteFunc(next.GetSpec().Clusters, func(c workv1alpha2.TargetCluster) bool { return gone(snap, c.Name) })
	return next
}
