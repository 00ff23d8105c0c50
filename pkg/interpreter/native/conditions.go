package native

import (
	"fmt"
	"strings"
	"time"
)

// condition is a condition as it is reported: small, because a binding holds
// it once per cluster. The times of probes and updates stay in the member, and
// so does a message that says that all is well.
type condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason,omitempty"`
	Message            string `json:"message,omitempty"`
	LastTransitionTime string `json:"lastTransitionTime,omitempty"`
}

// conditionRule says how to merge one type of condition. Types without a rule
// are neither reported nor merged.
type conditionRule struct {
	kind string
	// good is the status that means that all is well. The merged condition
	// has it only if every cluster does.
	good string
	// settled is the reason that goes with good once there is nothing more to
	// wait for; a cluster with another reason speaks for all.
	settled string
	// optional: the condition only appears when there is something to say, so
	// that a cluster without it is not one that has yet to answer.
	optional bool
}

const (
	conditionTrue    = "True"
	conditionFalse   = "False"
	conditionUnknown = "Unknown"

	// reasonNotReported stands for clusters that do not have a condition yet.
	reasonNotReported = "NotReported"
)

// voicesInMessage is how many clusters a merged message quotes; of the others
// it gives the number.
const voicesInMessage = 5

// findCondition returns the condition of a type in a status, nil if it is not
// there.
func findCondition(status map[string]any, kind string) map[string]any {
	for _, entry := range list(status, "conditions") {
		if c, ok := entry.(map[string]any); ok && text(c, "type") == kind {
			return c
		}
	}
	return nil
}

// reportConditions extracts the conditions that have a rule, in the order of
// the rules.
func reportConditions(status map[string]any, rules []conditionRule) []condition {
	var report []condition
	for _, rule := range rules {
		c := findCondition(status, rule.kind)
		if c == nil {
			continue
		}
		r := condition{
			Type:               rule.kind,
			Status:             text(c, "status"),
			Reason:             text(c, "reason"),
			LastTransitionTime: text(c, "lastTransitionTime"),
		}
		if r.Status != rule.good {
			r.Message = text(c, "message")
		}
		if report == nil {
			report = make([]condition, 0, len(rules))
		}
		report = append(report, r)
	}
	return report
}

// voice is one cluster's conditions.
type voice struct {
	cluster    string
	conditions []condition
}

func (v voice) find(kind string) *condition {
	for i := range v.conditions {
		if v.conditions[i].Type == kind {
			return &v.conditions[i]
		}
	}
	return nil
}

// mergeConditions makes one list of conditions out of those of every cluster,
// which come ordered by name. A condition that no cluster has is left out.
func mergeConditions(rules []conditionRule, voices []voice) []condition {
	var merged []condition
	for _, rule := range rules {
		if c, ok := mergeCondition(rule, voices); ok {
			merged = append(merged, c)
		}
	}
	return merged
}

// mergeCondition gives the status of the worst cluster: the opposite of good
// if any has that, else Unknown if any is undecided or has yet to answer.
//
// The time is that at which the merged status began: of the first cluster to
// go bad, or of the last one to become good.
func mergeCondition(rule conditionRule, voices []voice) (condition, bool) {
	var good, undecided, bad []voice
	present := false
	for _, v := range voices {
		c := v.find(rule.kind)
		switch {
		case c == nil && rule.optional:
			continue
		case c == nil:
			undecided = append(undecided, v)
			continue
		case c.Status == rule.good:
			good = append(good, v)
		case c.Status == conditionTrue || c.Status == conditionFalse:
			bad = append(bad, v)
		default:
			undecided = append(undecided, v)
		}
		present = true
	}
	if !present {
		return condition{}, false
	}

	total := len(good) + len(undecided) + len(bad)
	merged := condition{Type: rule.kind}
	switch {
	case len(bad) > 0:
		merged.Status = bad[0].find(rule.kind).Status
		merged.Reason = bad[0].find(rule.kind).Reason
		merged.Message = quote(rule.kind, bad, total)
		merged.LastTransitionTime = beginning(rule.kind, bad, time.Time.Before)
	case len(undecided) > 0:
		merged.Status = conditionUnknown
		merged.Reason = reasonNotReported
		if c := undecided[0].find(rule.kind); c != nil && c.Reason != "" {
			merged.Reason = c.Reason
		}
		merged.Message = quote(rule.kind, undecided, total)
		merged.LastTransitionTime = beginning(rule.kind, undecided, time.Time.Before)
		if merged.LastTransitionTime == "" {
			merged.LastTransitionTime = beginning(rule.kind, good, time.Time.After)
		}
	default:
		merged.Status = rule.good
		merged.Reason = good[0].find(rule.kind).Reason
		for _, v := range good {
			if reason := v.find(rule.kind).Reason; rule.settled != "" && reason != rule.settled {
				merged.Reason = reason
				break
			}
		}
		merged.Message = fmt.Sprintf("%d of %d clusters", total, total)
		merged.LastTransitionTime = beginning(rule.kind, good, time.Time.After)
	}
	return merged, true
}

// quote writes "1 of 3 clusters: eu: image cannot be pulled".
func quote(kind string, voices []voice, total int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d clusters: ", len(voices), total)
	for i, v := range voices {
		if i == voicesInMessage {
			fmt.Fprintf(&b, "; and %d more", len(voices)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(v.cluster)
		b.WriteString(": ")
		switch c := v.find(kind); {
		case c == nil:
			b.WriteString("not reported yet")
		case c.Message != "":
			b.WriteString(shorten(c.Message))
		case c.Reason != "":
			b.WriteString(c.Reason)
		default:
			b.WriteString(c.Status)
		}
	}
	return b.String()
}

// longestQuote bounds, in bytes, what one cluster may say in a merged message;
// the API refuses messages beyond 32 KiB.
const longestQuote = 512

func shorten(message string) string {
	if len(message) <= longestQuote {
		return message
	}
	return strings.ToValidUTF8(message[:longestQuote], "") + "..."
}

// beginning picks a transition time, "" if no cluster gives a valid one.
func beginning(kind string, voices []voice, better func(a, b time.Time) bool) string {
	times := make([]string, 0, len(voices))
	for _, v := range voices {
		if c := v.find(kind); c != nil {
			times = append(times, c.LastTransitionTime)
		}
	}
	return pickTime(better, times...)
}

// conditionList writes conditions the way a status holds them. The names in
// also are further time fields that get the transition time.
func conditionList(conditions []condition, also ...string) []any {
	entries := make([]any, 0, len(conditions))
	for _, c := range conditions {
		entry := map[string]any{"type": c.Type, "status": c.Status}
		if c.Reason != "" {
			entry["reason"] = c.Reason
		}
		if c.Message != "" {
			entry["message"] = c.Message
		}
		if c.LastTransitionTime != "" {
			entry["lastTransitionTime"] = c.LastTransitionTime
			for _, field := range also {
				entry[field] = c.LastTransitionTime
			}
		}
		entries = append(entries, entry)
	}
	return entries
}
