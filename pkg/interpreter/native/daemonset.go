package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// daemonSet has no replicas to divide: every cluster runs one pod per node.
var daemonSet = Kind{
	ReflectStatus:   reflectTally[daemonSetStatus](nil),
	Health:          daemonSetHealth,
	AggregateStatus: aggregateTally[daemonSetStatus](nil),
	Prune: func(obj *unstructured.Unstructured) {
		dropMetadata(obj, "annotations", "deprecated.daemonset.template.generation")
	},
}

type daemonSetStatus struct {
	tallied
	CurrentNumberScheduled int64 `json:"currentNumberScheduled,omitempty"`
	NumberMisscheduled     int64 `json:"numberMisscheduled,omitempty"`
	DesiredNumberScheduled int64 `json:"desiredNumberScheduled,omitempty"`
	NumberReady            int64 `json:"numberReady,omitempty"`
	UpdatedNumberScheduled int64 `json:"updatedNumberScheduled,omitempty"`
	NumberAvailable        int64 `json:"numberAvailable,omitempty"`
	NumberUnavailable      int64 `json:"numberUnavailable,omitempty"`
}

func (s *daemonSetStatus) counters() []counter {
	return []counter{
		{"currentNumberScheduled", &s.CurrentNumberScheduled},
		{"numberMisscheduled", &s.NumberMisscheduled},
		{"desiredNumberScheduled", &s.DesiredNumberScheduled},
		{"numberReady", &s.NumberReady},
		{"updatedNumberScheduled", &s.UpdatedNumberScheduled},
		{"numberAvailable", &s.NumberAvailable},
		{"numberUnavailable", &s.NumberUnavailable},
	}
}

// daemonSetHealth: the controller has seen the newest spec, and every node
// that should has an available pod, of the newest template unless pods are
// replaced by hand (OnDelete).
func daemonSetHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	s := status(obj)
	desired := integer(s, "desiredNumberScheduled")
	updated := text(child(spec(obj), "updateStrategy"), "type") == "OnDelete" ||
		integer(s, "updatedNumberScheduled") >= desired
	return healthyIf(seen(obj) && s != nil && updated && integer(s, "numberAvailable") >= desired), nil
}
