package inventory

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Plan is what a full list of the federation's works asks of the member.
type Plan struct {
	// Set holds the works whose record changes, or whose UID does.
	Set []*Record
	// Same names the other works of the list: nothing changes for them.
	Same []string
	// Gone names the works that the list no longer has.
	Gone []string
	// Doomed are the objects that would be deleted, sorted: those of works in Gone and those that
	// the works in Set no longer name. Objects that another work takes over, that are preserved, or
	// that were never ours are not among them.
	Doomed []Key
	// Drops are the doomed objects by the work that brought them.
	Drops map[string][]Key
	// Held is set when something doomed was held before: then all of it is.
	Held bool
	// Total is the number of objects managed now, deletions already agreed left out.
	Total int
}

// Diff compares the inventory with a full list. kept names works that the federation has but whose
// manifests are not to be trusted or not to be acted on: they stay as they are.
func Diff(have []*Record, want []*Record, kept map[string]bool) Plan {
	plan := Plan{Drops: map[string][]Key{}}
	wanted := make(map[string]*Record, len(want))
	stays := map[Key]bool{}
	for _, record := range want {
		wanted[record.Name] = record
		for _, object := range record.Objects {
			stays[object.Key] = true
		}
	}
	managed := map[Key]bool{}
	doomed := map[Key][]string{}
	known := make(map[string]*Record, len(have))
	for _, old := range have {
		known[old.Name] = old
		if old.Removed {
			continue // agreed before
		}
		next := wanted[old.Name]
		gone := next == nil && !kept[old.Name]
		if gone {
			plan.Gone = append(plan.Gone, old.Name)
		}
		for i, object := range old.Objects {
			if object.Unmanaged || i >= len(old.Manifests) && old.Prunes() {
				continue // not ours, or agreed before
			}
			managed[object.Key] = true
			switch {
			case kept[old.Name], next != nil && !next.Prunes():
				stays[object.Key] = true
			case gone && old.Preserve, next != nil && next.Preserve:
				// released, not deleted
			default:
				doomed[object.Key] = append(doomed[object.Key], old.Name)
			}
		}
	}
	for key, works := range doomed {
		if stays[key] {
			continue
		}
		plan.Doomed = append(plan.Doomed, key)
		for _, work := range works {
			plan.Drops[work] = append(plan.Drops[work], key)
			plan.Held = plan.Held || known[work].Held
		}
	}
	for _, record := range want {
		if SameDesire(known[record.Name], record) {
			plan.Same = append(plan.Same, record.Name)
		} else {
			plan.Set = append(plan.Set, record)
		}
	}
	plan.Total = len(managed)
	slices.SortFunc(plan.Doomed, Key.Compare)
	slices.Sort(plan.Gone)
	return plan
}

// SameDesire tells whether two records ask for the same: then nothing is to be done, however often
// the federation says it.
func SameDesire(a, b *Record) bool {
	if a == nil || b == nil || a.Removed != b.Removed {
		return false
	}
	return a.UID == b.UID && a.Suspended == b.Suspended && a.Preserve == b.Preserve && a.Incomplete == b.Incomplete &&
		slices.EqualFunc(a.Manifests, b.Manifests, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
}
