package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var deploymentConditions = []conditionRule{
	{kind: "Available", good: conditionTrue},
	{kind: "Progressing", good: conditionTrue, settled: "NewReplicaSetAvailable"},
	{kind: "ReplicaFailure", good: conditionFalse, optional: true},
}

var deployment = Kind{
	Replicas:        replicasIn("replicas"),
	ReviseReplicas:  reviseIn("replicas"),
	ReflectStatus:   reflectTally[deploymentStatus](deploymentConditions),
	Health:          deploymentHealth,
	AggregateStatus: aggregateTally[deploymentStatus](deploymentConditions, "lastUpdateTime"),
	Prune: func(obj *unstructured.Unstructured) {
		dropMetadata(obj, "annotations", "deployment.kubernetes.io/revision")
	},
}

type deploymentStatus struct {
	tallied
	Replicas            int64 `json:"replicas,omitempty"`
	UpdatedReplicas     int64 `json:"updatedReplicas,omitempty"`
	ReadyReplicas       int64 `json:"readyReplicas,omitempty"`
	AvailableReplicas   int64 `json:"availableReplicas,omitempty"`
	UnavailableReplicas int64 `json:"unavailableReplicas,omitempty"`
	TerminatingReplicas int64 `json:"terminatingReplicas,omitempty"`
}

func (s *deploymentStatus) counters() []counter {
	return []counter{
		{"replicas", &s.Replicas},
		{"updatedReplicas", &s.UpdatedReplicas},
		{"readyReplicas", &s.ReadyReplicas},
		{"availableReplicas", &s.AvailableReplicas},
		{"unavailableReplicas", &s.UnavailableReplicas},
		{"terminatingReplicas", &s.TerminatingReplicas},
	}
}

func (s *deploymentStatus) bound() {
	atMost(s.Replicas, &s.UpdatedReplicas, &s.ReadyReplicas)
	atMost(s.ReadyReplicas, &s.AvailableReplicas)
}

// deploymentHealth: the controller has seen the newest spec, every replica is
// of it, and every one is available.
func deploymentHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	desired, err := count(spec(obj), "replicas")
	if err != nil {
		return workv1alpha2.ResourceUnknown, err
	}
	s := status(obj)
	updated := integer(s, "updatedReplicas")
	return healthyIf(seen(obj) &&
		updated >= int64(desired) &&
		integer(s, "availableReplicas") >= updated), nil
}

// seen tells whether the controller of a member has acted on the newest spec.
func seen(obj *unstructured.Unstructured) bool {
	return integer(status(obj), "observedGeneration") >= generation(obj)
}

func healthyIf(ok bool) workv1alpha2.ResourceHealth {
	if ok {
		return workv1alpha2.ResourceHealthy
	}
	return workv1alpha2.ResourceUnhealthy
}
