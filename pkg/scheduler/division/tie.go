package division

import (
	"hash/fnv"

	"k8s.io/apimachinery/pkg/types"
)

// TieOrder says which of two equally entitled clusters comes first.
type TieOrder int

const (
	// Ascending gives the alphabetically smaller name the replica.
	Ascending TieOrder = iota
	// Descending gives the alphabetically greater name the replica.
	Descending
)

// TieOrderFor picks the order for one template: ascending when the 32-bit
// FNV-1a hash of its UID is even, descending when it is odd. With one fixed
// order the many templates that ask for a single replica would all meet in the
// same cluster; the UID spreads them, and stays the same for the template's
// whole life, so nothing moves from one decision to the next.
func TieOrderFor(template types.UID) TieOrder {
	h := fnv.New32a()
	_, _ = h.Write([]byte(template)) // a hash never returns an error
	if h.Sum32()%2 == 0 {
		return Ascending
	}
	return Descending
}

// before reports whether name a goes before name b.
func (o TieOrder) before(a, b string) bool {
	if o == Descending {
		return a > b
	}
	return a < b
}
