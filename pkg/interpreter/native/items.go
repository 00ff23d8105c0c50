package native

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// ordered returns the items by cluster name, so that nothing computed from
// them depends on the order they came in. Two items of one cluster, which
// nobody should send, are ordered by what they say.
func ordered(items []workv1alpha2.AggregatedStatusItem) []workv1alpha2.AggregatedStatusItem {
	compare := func(a, b workv1alpha2.AggregatedStatusItem) int {
		if c := strings.Compare(a.ClusterName, b.ClusterName); c != 0 {
			return c
		}
		return cmp.Compare(string(rawStatus(a.Status)), string(rawStatus(b.Status)))
	}
	if slices.IsSortedFunc(items, compare) {
		return items
	}
	sorted := slices.Clone(items)
	slices.SortFunc(sorted, compare)
	return sorted
}

// rawStatus returns the JSON of a reported status, or nil if nothing was
// reported.
func rawStatus(ext *runtime.RawExtension) []byte {
	switch {
	case ext == nil:
		return nil
	case len(ext.Raw) > 0:
		if string(ext.Raw) == "null" {
			return nil
		}
		return ext.Raw
	case ext.Object != nil:
		raw, err := json.Marshal(ext.Object)
		if err != nil {
			return nil
		}
		return raw
	}
	return nil
}

// member is what one cluster reported, decoded.
type member[S any] struct {
	cluster string
	// reported is false for a cluster that has said nothing yet, or nothing
	// that can be read; status is zero then.
	reported bool
	status   S
}

// decode reads every report, by cluster name. The error names the clusters
// whose report is not what the kind's ReflectStatus writes.
func decode[S any](items []workv1alpha2.AggregatedStatusItem) ([]member[S], error) {
	members := make([]member[S], len(items))
	var unreadable []error
	for i, item := range ordered(items) {
		m := &members[i]
		m.cluster = item.ClusterName
		raw := rawStatus(item.Status)
		if raw == nil {
			continue
		}
		if err := json.Unmarshal(raw, &m.status); err != nil {
			var zero S
			m.status = zero
			unreadable = append(unreadable, fmt.Errorf("status reported by cluster %q cannot be read, see that its agent has the control plane's version: %w: %w",
				item.ClusterName, ErrMalformed, err))
			continue
		}
		m.reported = true
	}
	return members, errors.Join(unreadable...)
}

// encode makes the report that decode reads.
func encode(status any) (*runtime.RawExtension, error) {
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encoding status: %w: %w", ErrMalformed, err)
	}
	return &runtime.RawExtension{Raw: raw}, nil
}

// everyone tells whether every cluster reported and every report satisfies ok.
// It is false when there is no cluster at all.
func everyone[S any](members []member[S], ok func(*S) bool) bool {
	for i := range members {
		if !members[i].reported || !ok(&members[i].status) {
			return false
		}
	}
	return len(members) > 0
}
