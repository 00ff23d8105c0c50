package scheduler

import (
	"fmt"
	"slices"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/scheduler/explain"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// affinityGroup is a set of clusters to choose from.
type affinityGroup struct {
	name     string // empty if the placement has no groups
	affinity *policyv1alpha1.ClusterAffinity
	field    string
}

// affinityGroups returns the groups in the order in which they are tried. The
// preferred one comes first; without groups in the placement there is one.
func affinityGroups(placement *policyv1alpha1.Placement, preferred string) []affinityGroup {
	if len(placement.ClusterAffinities) == 0 {
		return []affinityGroup{{affinity: placement.ClusterAffinity, field: "placement.clusterAffinity"}}
	}
	groups := make([]affinityGroup, len(placement.ClusterAffinities))
	for i := range placement.ClusterAffinities {
		term := &placement.ClusterAffinities[i]
		groups[i] = affinityGroup{
			name:     term.AffinityName,
			affinity: &term.ClusterAffinity,
			field:    fmt.Sprintf("placement.clusterAffinities[%s]", term.AffinityName),
		}
	}
	if i := slices.IndexFunc(groups, func(g affinityGroup) bool { return g.name == preferred }); i > 0 {
		first := groups[i]
		groups = slices.Insert(slices.Delete(groups, i, i+1), 0, first)
	}
	return groups
}

// unknownClusters returns the names in the placement that belong to no cluster,
// in the order of the fields. Excluding a cluster that is not there is no mistake,
// and an empty name is nobody's.
func unknownClusters(snap *snapshot.Snapshot, placement *policyv1alpha1.Placement) []explain.UnknownCluster {
	var unknown []explain.UnknownCluster
	check := func(clusterNames []string, affinity, field string) {
		for _, name := range clusterNames {
			u := explain.UnknownCluster{Name: name, Affinity: affinity, Field: field}
			if name != "" && snap.Get(name) == nil && !slices.Contains(unknown, u) {
				unknown = append(unknown, u)
			}
		}
	}
	for _, group := range affinityGroups(placement, "") {
		if group.affinity != nil {
			check(group.affinity.ClusterNames, group.name, group.field+".clusterNames")
		}
	}
	if s := placement.ReplicaScheduling; s != nil && s.WeightPreference != nil {
		for i := range s.WeightPreference.StaticWeightList {
			check(s.WeightPreference.StaticWeightList[i].TargetCluster.ClusterNames, "",
				fmt.Sprintf("%s[%d].targetCluster.clusterNames", weightListField, i))
		}
	}
	return unknown
}
