package link

import (
	"cmp"
	"maps"
	"slices"
)

// Ordered is an ordered pair of clusters by name.
type Ordered struct {
	From, To string
}

// All are all ordered pairs of some clusters, in order.
func All(clusters []string) []Ordered {
	var pairs []Ordered
	for _, from := range clusters {
		for _, to := range clusters {
			if from != to {
				pairs = append(pairs, Ordered{From: from, To: to})
			}
		}
	}
	return sorted(pairs)
}

// Placed is where propagated workloads of one namespace are.
type Placed struct {
	// Namespace of the workloads.
	Namespace string
	// Clusters that have at least one of them.
	Clusters []string
}

// ByPlacement are the ordered pairs of clusters that have workloads of the same
// namespace, in order. Who calls whom is not known beforehand; that workloads of
// one namespace call each other is the assumption. Clusters that are not in the
// mesh are left out.
func ByPlacement(clusters []string, placed []Placed) []Ordered {
	member := map[string]bool{}
	for _, c := range clusters {
		member[c] = true
	}
	set := map[Ordered]bool{}
	for _, p := range placed {
		here := slices.DeleteFunc(slices.Clone(p.Clusters), func(c string) bool { return !member[c] })
		for _, from := range here {
			for _, to := range here {
				if from != to {
					set[Ordered{From: from, To: to}] = true
				}
			}
		}
	}
	return sorted(slices.Collect(maps.Keys(set)))
}

// Compare is the order of pairs.
func Compare(a, b Ordered) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}

func sorted(pairs []Ordered) []Ordered {
	slices.SortFunc(pairs, Compare)
	return slices.Compact(pairs)
}
