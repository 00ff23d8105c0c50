package fold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// reports are the newest observations of one binding, by cluster.
type reports map[string]workv1alpha2.AggregatedStatusItem

// merge brings the status of a binding in line with its clusters and with
// reports, and says whether anything changed. Items are sorted by cluster; those
// of clusters the binding no longer names are dropped.
func merge(b workv1alpha2.Binding, pending reports) bool {
	spec, status := b.GetSpec(), b.GetStatus()
	targets := targetsOf(spec)
	items := make([]workv1alpha2.AggregatedStatusItem, 0, len(targets))
	have := map[string]workv1alpha2.AggregatedStatusItem{}
	for _, item := range status.AggregatedStatus {
		have[item.ClusterName] = item
	}
	for _, cluster := range targets {
		if item, ok := pending[cluster]; ok {
			items = append(items, item)
		} else if item, ok := have[cluster]; ok {
			items = append(items, item)
		}
	}
	changed := !slices.EqualFunc(items, status.AggregatedStatus, equal)
	if changed {
		status.AggregatedStatus = items
	}
	return setFullyApplied(b, targets) || changed
}

// withFailures adds to the reports that clusters cannot get what they should.
// What a cluster said last of its workload stays: that goes on as it was.
func withFailures(b workv1alpha2.Binding, pending reports, failures map[string]string) reports {
	if len(failures) == 0 {
		return pending
	}
	out := reports{}
	for _, item := range b.GetStatus().AggregatedStatus {
		if _, failed := failures[item.ClusterName]; failed {
			out[item.ClusterName] = item
		}
	}
	maps.Copy(out, pending)
	for cluster, reason := range failures {
		item := out[cluster]
		item.ClusterName, item.Applied, item.AppliedMessage = cluster, false, reason
		out[cluster] = item
	}
	return out
}

// setFullyApplied derives the condition from the items.
func setFullyApplied(b workv1alpha2.Binding, targets []string) bool {
	status := b.GetStatus()
	if len(targets) == 0 {
		if len(status.Conditions) == 0 {
			return false
		}
		return meta.RemoveStatusCondition(&status.Conditions, workv1alpha2.FullyApplied)
	}
	applied := map[string]bool{}
	var failed, waiting []string
	for _, item := range status.AggregatedStatus {
		applied[item.ClusterName] = true
		if !item.Applied {
			failed = append(failed, fmt.Sprintf("%s: %s", item.ClusterName, item.AppliedMessage))
		}
	}
	for _, cluster := range targets {
		if !applied[cluster] {
			waiting = append(waiting, cluster)
		}
	}
	condition := metav1.Condition{
		Type: workv1alpha2.FullyApplied, Status: metav1.ConditionTrue,
		Reason: workv1alpha2.FullyAppliedSuccessReason, Message: "All works have been applied",
	}
	switch {
	case len(failed) > 0:
		condition.Status, condition.Reason = metav1.ConditionFalse, workv1alpha2.FullyAppliedFailedReason
		condition.Message = truncate("Not applied in " + strings.Join(failed, "; "))
	case len(waiting) > 0:
		condition.Status, condition.Reason = metav1.ConditionFalse, workv1alpha2.FullyAppliedFailedReason
		condition.Message = truncate("Waiting for " + strings.Join(waiting, ", ") + " to report; if this lasts, see whether the clusters are Ready")
	}
	return meta.SetStatusCondition(&status.Conditions, condition)
}

// maxMessage is what a condition's message may hold.
const maxMessage = 32768

// truncate cuts between characters: half a character grows when it is encoded.
func truncate(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage - len("...")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

func targetsOf(spec *workv1alpha2.ResourceBindingSpec) []string {
	seen := map[string]struct{}{}
	for _, t := range spec.Clusters {
		seen[t.Name] = struct{}{}
	}
	for _, snapshot := range spec.RequiredBy {
		for _, t := range snapshot.Clusters {
			seen[t.Name] = struct{}{}
		}
	}
	out := make([]string, 0, len(seen))
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// settled says that nothing better is to be expected: every cluster has
// applied, and none is unhealthy.
func settled(spec *workv1alpha2.ResourceBindingSpec, stored []workv1alpha2.AggregatedStatusItem, pending reports) bool {
	have := map[string]workv1alpha2.AggregatedStatusItem{}
	for _, item := range stored {
		have[item.ClusterName] = item
	}
	for cluster, item := range pending {
		have[cluster] = item
	}
	for _, cluster := range targetsOf(spec) {
		item, ok := have[cluster]
		if !ok || !item.Applied || item.Health == workv1alpha2.ResourceUnhealthy {
			return false
		}
	}
	return true
}

func equal(a, b workv1alpha2.AggregatedStatusItem) bool {
	return a.ClusterName == b.ClusterName && a.Applied == b.Applied && a.AppliedMessage == b.AppliedMessage &&
		a.Health == b.Health && equalRaw(a.Status, b.Status)
}

// equalRaw compares encoded statuses by meaning: storage may order keys anew.
func equalRaw(a, b *runtime.RawExtension) bool {
	if a == nil || b == nil {
		return (a == nil || len(a.Raw) == 0) && (b == nil || len(b.Raw) == 0)
	}
	if bytes.Equal(a.Raw, b.Raw) {
		return true
	}
	left, right := canonical(a.Raw), canonical(b.Raw)
	return left != nil && bytes.Equal(left, right)
}

// canonical sorts keys and drops space; numbers stay as they are written. It is
// nil for what is not one JSON value.
func canonical(raw []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return nil
	}
	out, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return out
}
