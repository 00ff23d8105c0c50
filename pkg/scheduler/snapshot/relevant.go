package snapshot

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Relevant reports whether a decision could come out differently for the new
// state of a cluster: its labels, what field selectors read (provider, region,
// zones), its taints, whether it is ready, being removed, or serves other kinds.
func Relevant(was, is *clusterv1alpha1.Cluster) bool {
	a, b := newCluster(was), newCluster(is)
	return was.UID != is.UID ||
		a.Ready != b.Ready ||
		a.Deleting != b.Deleting ||
		a.EnablementsComplete != b.EnablementsComplete ||
		was.Spec.Provider != is.Spec.Provider ||
		was.Spec.Region != is.Spec.Region ||
		was.Spec.Zone != is.Spec.Zone ||
		!slices.Equal(was.Spec.Zones, is.Spec.Zones) ||
		!maps.Equal(was.Labels, is.Labels) ||
		!equality.Semantic.DeepEqual(was.Spec.Taints, is.Spec.Taints) ||
		!slices.EqualFunc(was.Status.APIEnablements, is.Status.APIEnablements, sameEnablement)
}

func sameEnablement(a, b clusterv1alpha1.APIEnablement) bool {
	return a.GroupVersion == b.GroupVersion && slices.Equal(a.Resources, b.Resources)
}
