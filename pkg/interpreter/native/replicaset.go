package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var replicaSetConditions = []conditionRule{
	{kind: "ReplicaFailure", good: conditionFalse, optional: true},
}

var replicaSet = Kind{
	Replicas:        replicasIn("replicas"),
	ReviseReplicas:  reviseIn("replicas"),
	ReflectStatus:   reflectTally[replicaSetStatus](replicaSetConditions),
	Health:          replicaSetHealth,
	AggregateStatus: aggregateTally[replicaSetStatus](replicaSetConditions),
	Prune: func(obj *unstructured.Unstructured) {
		dropMetadata(obj, "annotations",
			"deployment.kubernetes.io/revision",
			"deployment.kubernetes.io/desired-replicas",
			"deployment.kubernetes.io/max-replicas")
	},
}

type replicaSetStatus struct {
	tallied
	Replicas             int64 `json:"replicas,omitempty"`
	FullyLabeledReplicas int64 `json:"fullyLabeledReplicas,omitempty"`
	ReadyReplicas        int64 `json:"readyReplicas,omitempty"`
	AvailableReplicas    int64 `json:"availableReplicas,omitempty"`
	TerminatingReplicas  int64 `json:"terminatingReplicas,omitempty"`
}

func (s *replicaSetStatus) counters() []counter {
	return []counter{
		{"replicas", &s.Replicas},
		{"fullyLabeledReplicas", &s.FullyLabeledReplicas},
		{"readyReplicas", &s.ReadyReplicas},
		{"availableReplicas", &s.AvailableReplicas},
		{"terminatingReplicas", &s.TerminatingReplicas},
	}
}

func (s *replicaSetStatus) bound() {
	atMost(s.Replicas, &s.FullyLabeledReplicas, &s.ReadyReplicas)
	atMost(s.ReadyReplicas, &s.AvailableReplicas)
}

// replicaSetHealth: the controller has seen the newest spec, and as many
// replicas are available as it asks for.
func replicaSetHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	desired, err := count(spec(obj), "replicas")
	if err != nil {
		return workv1alpha2.ResourceUnknown, err
	}
	return healthyIf(seen(obj) && integer(status(obj), "availableReplicas") >= int64(desired)), nil
}
