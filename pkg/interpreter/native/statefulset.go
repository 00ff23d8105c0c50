package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var statefulSet = Kind{
	Replicas:        replicasIn("replicas"),
	ReviseReplicas:  reviseIn("replicas"),
	ReflectStatus:   reflectStatefulSet,
	Health:          statefulSetHealth,
	AggregateStatus: aggregateStatefulSet,
	Prune:           pruneStatefulSet,
}

type statefulSetStatus struct {
	tallied
	Replicas          int64  `json:"replicas,omitempty"`
	ReadyReplicas     int64  `json:"readyReplicas,omitempty"`
	CurrentReplicas   int64  `json:"currentReplicas,omitempty"`
	UpdatedReplicas   int64  `json:"updatedReplicas,omitempty"`
	AvailableReplicas int64  `json:"availableReplicas,omitempty"`
	CurrentRevision   string `json:"currentRevision,omitempty"`
	UpdateRevision    string `json:"updateRevision,omitempty"`
}

func (s *statefulSetStatus) counters() []counter {
	return []counter{
		{"replicas", &s.Replicas},
		{"readyReplicas", &s.ReadyReplicas},
		{"currentReplicas", &s.CurrentReplicas},
		{"updatedReplicas", &s.UpdatedReplicas},
		{"availableReplicas", &s.AvailableReplicas},
	}
}

func (s *statefulSetStatus) bound() {
	atMost(s.Replicas, &s.ReadyReplicas, &s.CurrentReplicas, &s.UpdatedReplicas)
	atMost(s.ReadyReplicas, &s.AvailableReplicas)
}

func reflectStatefulSet(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	report := read[statefulSetStatus](obj, nil)
	report.CurrentRevision = text(status(obj), "currentRevision")
	report.UpdateRevision = text(status(obj), "updateRevision")
	return encode(report)
}

// aggregateStatefulSet adds up the counts, and shows the revisions of one
// cluster: the first by name that is still rolling out, so that the template
// looks settled (both revisions the same) only when every cluster is.
func aggregateStatefulSet(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	s, err := sum[statefulSetStatus](template, items)
	var shown *statefulSetStatus
	for i := range s.members {
		m := &s.members[i]
		if !m.reported {
			continue
		}
		if m.status.CurrentRevision != m.status.UpdateRevision {
			shown = &m.status
			break
		}
		if shown == nil {
			shown = &m.status
		}
	}
	if shown != nil {
		s.fields["currentRevision"] = shown.CurrentRevision
		s.fields["updateRevision"] = shown.UpdateRevision
	}
	if len(s.members) == 0 && scaledToZero(template) {
		s.fields["observedGeneration"] = generation(template)
	}
	return setStatus(template, s.fields), err
}

// statefulSetHealth: the controller has seen the newest spec, every replica is
// available, and all those that a rolling update is meant to reach are of the
// newest revision. With the OnDelete strategy it is for people to decide when
// a pod is replaced, so that old ones are no fault.
func statefulSetHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	desired, err := count(spec(obj), "replicas")
	if err != nil {
		return workv1alpha2.ResourceUnknown, err
	}
	s, strategy := status(obj), child(spec(obj), "updateStrategy")
	updated := text(strategy, "type") == "OnDelete" ||
		integer(s, "updatedReplicas") >= int64(desired)-integer(child(strategy, "rollingUpdate"), "partition")
	return healthyIf(seen(obj) && updated && integer(s, "availableReplicas") >= int64(desired)), nil
}

// pruneStatefulSet takes off the status that API servers put into the claim
// templates, and a partial time of creation.
func pruneStatefulSet(obj *unstructured.Unstructured) {
	for _, entry := range list(spec(obj), "volumeClaimTemplates") {
		if claim, ok := entry.(map[string]any); ok {
			delete(claim, "status")
			drop(claim, "metadata", "creationTimestamp")
		}
	}
}
