package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/division"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// choose picks, of the clusters that fit, those that get a share. Clusters
// without weight are left out, unless that leaves none, when all count as 1. A
// limit on the number of clusters keeps, in this order, those that hold the
// template already, the heavier ones, and the first in the order of ties.
func choose(request *framework.Request, fit []*snapshot.Cluster, weights *weighing, order division.TieOrder) ([]division.Weighted, error) {
	chosen := make([]division.Weighted, 0, len(fit))
	for _, cluster := range fit {
		weight, err := weights.weigh(cluster)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, division.Weighted{Name: cluster.Name(), Weight: weight})
	}
	if slices.ContainsFunc(chosen, hasWeight) {
		chosen = slices.DeleteFunc(chosen, func(c division.Weighted) bool { return !hasWeight(c) })
	} else {
		for i := range chosen {
			chosen[i].Weight = 1
		}
	}
	_, most := clusterBounds(request.Spec.Placement)
	if most > 0 && len(chosen) > most {
		slices.SortFunc(chosen, func(a, b division.Weighted) int {
			if x, y := request.Holds(a.Name), request.Holds(b.Name); x != y {
				if x {
					return -1
				}
				return 1
			}
			byName := strings.Compare(a.Name, b.Name)
			if order == division.Descending {
				byName = -byName
			}
			return cmp.Or(cmp.Compare(b.Weight, a.Weight), byName)
		})
		chosen = chosen[:most]
	}
	return chosen, nil
}

// shortageOf says which minimum of the placement the result misses, or nothing.
// Without a cluster that fits there is no need to count.
func shortageOf(result []workv1alpha2.TargetCluster, chosen []division.Weighted, placement *policyv1alpha1.Placement) string {
	least, _ := clusterBounds(placement)
	switch {
	case len(chosen) == 0 || len(result) >= least:
		return ""
	case len(chosen) < least:
		return fmt.Sprintf("placement.spreadConstraints asks for at least %d clusters, and only %d can be chosen", least, len(chosen))
	default:
		return fmt.Sprintf("placement.spreadConstraints asks for at least %d clusters, and the replicas reach only %d", least, len(result))
	}
}

func hasWeight(c division.Weighted) bool { return c.Weight > 0 }

// clusterBounds returns how many clusters the placement wants, at least and at
// most; most is 0 if there is no limit. Constraints over anything but clusters
// were refused before.
func clusterBounds(placement *policyv1alpha1.Placement) (least, most int) {
	for i := range placement.SpreadConstraints {
		c := &placement.SpreadConstraints[i]
		least = max(least, c.MinGroups)
		if c.MaxGroups > 0 && (most == 0 || c.MaxGroups < most) {
			most = c.MaxGroups
		}
	}
	return least, most
}
