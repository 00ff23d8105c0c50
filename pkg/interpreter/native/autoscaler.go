package native

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var autoscalerConditions = []conditionRule{
	{kind: "AbleToScale", good: conditionTrue},
	{kind: "ScalingActive", good: conditionTrue},
	{kind: "ScalingLimited", good: conditionFalse, optional: true},
}

var autoscaler = Kind{
	ReflectStatus:   reflectAutoscaler,
	Health:          autoscalerHealth,
	AggregateStatus: aggregateAutoscaler,
	Prune: func(obj *unstructured.Unstructured) {
		// Where autoscaling/v1 keeps the parts of the status it has no field for.
		dropMetadata(obj, "annotations",
			"autoscaling.alpha.kubernetes.io/conditions",
			"autoscaling.alpha.kubernetes.io/current-metrics")
	},
}

// autoscalerStatus leaves the current metrics out: they change every few
// seconds, and averages of several clusters cannot be merged.
type autoscalerStatus struct {
	tallied
	CurrentReplicas int64  `json:"currentReplicas,omitempty"`
	DesiredReplicas int64  `json:"desiredReplicas,omitempty"`
	LastScaleTime   string `json:"lastScaleTime,omitempty"`
}

func (s *autoscalerStatus) counters() []counter {
	return []counter{
		{"currentReplicas", &s.CurrentReplicas},
		{"desiredReplicas", &s.DesiredReplicas},
	}
}

func reflectAutoscaler(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	report := read[autoscalerStatus](obj, autoscalerConditions)
	report.LastScaleTime = text(status(obj), "lastScaleTime")
	return encode(report)
}

func aggregateAutoscaler(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	s, err := sum[autoscalerStatus](template, items)
	times := make([]string, 0, len(s.members))
	for i := range s.members {
		times = append(times, s.members[i].status.LastScaleTime)
	}
	s.fields["lastScaleTime"] = timeOrNull(pickTime(time.Time.After, times...))
	if !strings.HasSuffix(template.GetAPIVersion(), "/v1") { // v1 has no conditions
		s.fields["conditions"] = conditionList(mergeConditions(autoscalerConditions, s.voices))
	}
	return setStatus(template, s.fields), err
}

// autoscalerHealth: it can read its metrics and change the count. Until its
// conditions say so, nothing is known. In autoscaling/v1 they never do.
func autoscalerHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	s := status(obj)
	able, active := findCondition(s, "AbleToScale"), findCondition(s, "ScalingActive")
	if able == nil && active == nil {
		return workv1alpha2.ResourceUnknown, nil
	}
	return healthyIf(text(able, "status") != conditionFalse && text(active, "status") != conditionFalse), nil
}
