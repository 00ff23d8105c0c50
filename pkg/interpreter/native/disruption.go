package native

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var disruptionConditions = []conditionRule{{kind: "DisruptionAllowed", good: conditionTrue}}

var disruptionBudget = Kind{
	ReflectStatus:   reflectTally[disruptionStatus](disruptionConditions),
	Health:          disruptionHealth,
	AggregateStatus: aggregateDisruption,
}

// disruptionStatus leaves out which pods are being disrupted: that changes
// with every eviction and means nothing outside the member.
type disruptionStatus struct {
	tallied
	DisruptionsAllowed int64 `json:"disruptionsAllowed,omitempty"`
	CurrentHealthy     int64 `json:"currentHealthy,omitempty"`
	DesiredHealthy     int64 `json:"desiredHealthy,omitempty"`
	ExpectedPods       int64 `json:"expectedPods,omitempty"`
}

func (s *disruptionStatus) counters() []counter {
	return []counter{
		{"disruptionsAllowed", &s.DisruptionsAllowed},
		{"currentHealthy", &s.CurrentHealthy},
		{"desiredHealthy", &s.DesiredHealthy},
		{"expectedPods", &s.ExpectedPods},
	}
}

// aggregateDisruption adds up. A disruption is allowed if some cluster allows
// one, in keeping with the sum.
func aggregateDisruption(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	s, err := sum[disruptionStatus](template, items)
	var conditions []condition
	if c, ok := disruptionAllowed(s.voices); ok {
		conditions = append(conditions, c)
	}
	s.fields["conditions"] = conditionList(conditions)
	return setStatus(template, s.fields), err
}

// disruptionAllowed gives the condition of the first cluster that allows a
// disruption, else of the first that has one, with the time of the last change
// anywhere. The API demands a reason and a time.
func disruptionAllowed(voices []voice) (condition, bool) {
	const kind = "DisruptionAllowed"
	var merged condition
	for _, v := range voices {
		c := v.find(kind)
		if c == nil {
			continue
		}
		if merged.Type == "" || (c.Status == conditionTrue && merged.Status != conditionTrue) {
			merged = *c
		}
	}
	merged.LastTransitionTime = beginning(kind, voices, time.Time.After)
	switch merged.Status {
	case conditionTrue:
		merged.Reason = "SufficientPods"
	case conditionFalse:
		merged.Reason = "InsufficientPods"
	default:
		return condition{}, false
	}
	merged.Message = ""
	return merged, merged.LastTransitionTime != ""
}

// disruptionHealth: the controller has seen the newest spec, and at least as
// many pods are healthy as must be.
func disruptionHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	s := status(obj)
	return healthyIf(s != nil && seen(obj) && integer(s, "currentHealthy") >= integer(s, "desiredHealthy")), nil
}
