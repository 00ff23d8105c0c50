package division

import (
	"slices"
	"strings"
)

// Share is what one cluster gets.
type Share struct {
	Name string
	// Replicas is a count. It is zero only in the result of Every.
	Replicas int32
}

// Every places a kind without replicas: each cluster gets it and no count.
// Names must be unique. The result is ordered by name.
func Every(names []string) []Share {
	return Duplicate(0, names)
}

// Duplicate gives every cluster the full count. Names must be unique. The
// result is ordered by name.
func Duplicate(replicas int32, names []string) []Share {
	shares := make([]Share, 0, len(names))
	for _, name := range names {
		shares = append(shares, Share{Name: name, Replicas: max(replicas, 0)})
	}
	sortByName(shares)
	return shares
}

func sortByName(shares []Share) {
	slices.SortFunc(shares, func(a, b Share) int { return strings.Compare(a.Name, b.Name) })
}
