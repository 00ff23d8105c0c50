package scheduler

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// Trigger is why a binding needs a decision. The values appear in logs.
type Trigger string

// The triggers.
const (
	// NoTrigger: the last decision stands.
	NoTrigger Trigger = ""
	// TriggerUnscheduled: there is no decision yet, or the last attempt failed.
	TriggerUnscheduled Trigger = "Unscheduled"
	// TriggerPlacement: the placement is not the one that was decided on.
	TriggerPlacement Trigger = "PlacementChanged"
	// TriggerRebalance: somebody has asked to decide afresh.
	TriggerRebalance Trigger = "RebalanceRequested"
	// TriggerReplicas: the clusters' shares do not add up to what is asked for.
	TriggerReplicas Trigger = "ReplicasChanged"
	// TriggerClusterGone: a cluster that holds the template is gone, or going.
	TriggerClusterGone Trigger = "ClusterGone"
	// TriggerFollow: the binding goes to whatever clusters fit, so it is compared
	// with them each time. As a rule nothing comes of it.
	TriggerFollow Trigger = "FollowClusters"
)

// triggerOf looks for a reason to decide about a binding that has a placement.
func triggerOf(b workv1alpha2.Binding, snap *snapshot.Snapshot) (Trigger, error) {
	if !scheduled(b) {
		return TriggerUnscheduled, nil
	}
	changed, err := placementChanged(b)
	switch {
	case err != nil:
		return NoTrigger, err
	case changed:
		return TriggerPlacement, nil
	case rebalanceRequested(b):
		return TriggerRebalance, nil
	case replicasDiffer(b.GetSpec()):
		return TriggerReplicas, nil
	case holdsGone(b.GetSpec(), snap):
		return TriggerClusterGone, nil
	case follows(b.GetSpec()):
		return TriggerFollow, nil
	default:
		return NoTrigger, nil
	}
}

// scheduled reports whether the last attempt succeeded.
func scheduled(b workv1alpha2.Binding) bool {
	return meta.IsStatusConditionTrue(b.GetStatus().Conditions, workv1alpha2.Scheduled)
}

// placementChanged compares the placement with the one that was decided on. Text
// that differs in nothing but its form (another writer's order of fields, a
// default spelled out) is no change.
func placementChanged(b workv1alpha2.Binding) (bool, error) {
	applied := b.GetAnnotations()[names.AppliedPlacementAnnotation]
	text, err := placementText(b.GetSpec().Placement)
	if err != nil || text == applied {
		return false, err
	}
	before := parsePlacement(applied)
	return before == nil || !equality.Semantic.DeepEqual(before, b.GetSpec().Placement), nil
}

// parsePlacement reads a record, and returns nil if there is none that is legible.
func parsePlacement(text string) *policyv1alpha1.Placement {
	var p policyv1alpha1.Placement
	if json.Unmarshal([]byte(text), &p) != nil {
		return nil
	}
	policyv1alpha1.SetDefaults_Placement(&p)
	return &p
}

// placementText is what is recorded about a decision.
func placementText(p *policyv1alpha1.Placement) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encoding spec.placement: %w", err)
	}
	return string(text), nil
}

func rebalanceRequested(b workv1alpha2.Binding) bool {
	requested, last := b.GetSpec().RescheduleTriggeredAt, b.GetStatus().LastScheduledTime
	return requested != nil && (last == nil || requested.After(last.Time))
}

// replicasDiffer reports whether the shares are not what the template asks for:
// their sum if it is divided, each of them if it is duplicated.
func replicasDiffer(spec *workv1alpha2.ResourceBindingSpec) bool {
	if spec.Replicas > 0 && divided(spec) {
		var sum int64
		for i := range spec.Clusters {
			sum += int64(spec.Clusters[i].Replicas)
		}
		return sum != int64(spec.Replicas)
	}
	for i := range spec.Clusters {
		if spec.Clusters[i].Replicas != spec.Replicas {
			return true
		}
	}
	return false
}

func holdsGone(spec *workv1alpha2.ResourceBindingSpec, snap *snapshot.Snapshot) bool {
	for i := range spec.Clusters {
		if gone(snap, spec.Clusters[i].Name) {
			return true
		}
	}
	return false
}

func gone(snap *snapshot.Snapshot, name string) bool {
	cluster := snap.Get(name)
	return cluster == nil || cluster.Deleting
}
