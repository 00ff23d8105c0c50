package scheduler

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/division"
	"github.com/flotilla-io/flotilla/pkg/scheduler/explain"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/plugins"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// Question is one binding that wants clusters.
type Question struct {
	// Spec is the binding's, read only. Spec.Placement must be set.
	Spec *workv1alpha2.ResourceBindingSpec
	// Template is the UID that settles ties.
	Template types.UID
	// Affinity is the affinity group to try before the others: the one in use,
	// so that work does not wander back and forth between groups that both fit.
	// Empty: the groups are tried in the order of the placement.
	Affinity string
}

// Decision is where a template goes.
type Decision struct {
	// Clusters is the new spec.clusters, ordered by name; nil if there is none.
	Clusters []workv1alpha2.TargetCluster
	// Affinity is the name of the affinity group that was used, if the placement
	// has groups.
	Affinity string
}

// Made reports whether there is a decision at all.
func (d Decision) Made() bool { return len(d.Clusters) > 0 }

// Schedule decides. The same snapshot and question always give the same answer.
// If no decision is possible, the Diagnosis says why and what to do.
func Schedule(snap *snapshot.Snapshot, q Question) (Decision, explain.Diagnosis) {
	diagnosis := explain.Diagnosis{
		Reason:   workv1alpha2.BindingReasonNoClusterFit,
		Clusters: snap.Len(),
		Unknown:  unknownClusters(snap, q.Spec.Placement),
	}
	if reason, problem := refuse(q.Spec); problem != "" {
		diagnosis.Reason, diagnosis.Problem = reason, problem
		return Decision{}, diagnosis
	}
	weights, err := newWeighing(q.Spec)
	if err != nil {
		return invalid(diagnosis, err)
	}
	request := framework.NewRequest(q.Spec)
	filters := plugins.Filters()
	for _, group := range affinityGroups(q.Spec.Placement, q.Affinity) {
		request.Affinity, request.AffinityField = group.affinity, group.field
		fit, rejections, err := framework.Run(filters, request, snap)
		if err != nil {
			return invalid(diagnosis, err)
		}
		chosen, err := choose(request, fit, weights, division.TieOrderFor(q.Template))
		if err != nil {
			return invalid(diagnosis, err)
		}
		clusters := divide(q, chosen)
		shortage := shortageOf(clusters, chosen, q.Spec.Placement)
		diagnosis.Groups = append(diagnosis.Groups, explain.Group{
			Affinity:   group.name,
			Fit:        len(fit),
			Rejections: rejections,
			Shortage:   shortage,
		})
		if shortage != "" {
			diagnosis.Reason = workv1alpha2.BindingReasonUnschedulable
		}
		if len(clusters) > 0 && shortage == "" {
			diagnosis.Reason = workv1alpha2.BindingReasonSuccess
			return Decision{Clusters: clusters, Affinity: group.name}, diagnosis
		}
	}
	return Decision{}, diagnosis
}

func invalid(diagnosis explain.Diagnosis, err error) (Decision, explain.Diagnosis) {
	diagnosis.Reason = explain.ReasonInvalidPlacement
	diagnosis.Problem = fmt.Sprintf("The placement cannot be evaluated: %v. Correct the policy.", err)
	return Decision{}, diagnosis
}

// divide gives each chosen cluster its share.
func divide(q Question, chosen []division.Weighted) []workv1alpha2.TargetCluster {
	var shares []division.Share
	if q.Spec.Replicas > 0 && divided(q.Spec) {
		shares = division.Webster(q.Spec.Replicas, chosen, division.TieOrderFor(q.Template))
	} else {
		clusters := make([]string, len(chosen))
		for i := range chosen {
			clusters[i] = chosen[i].Name
		}
		shares = division.Duplicate(q.Spec.Replicas, clusters)
	}
	targets := make([]workv1alpha2.TargetCluster, len(shares))
	for i, share := range shares {
		targets[i] = workv1alpha2.TargetCluster{Name: share.Name, Replicas: share.Replicas}
	}
	return targets
}

// divided reports whether the replicas are shared out, rather than repeated in
// each cluster. A placement that says nothing repeats them.
func divided(spec *workv1alpha2.ResourceBindingSpec) bool {
	strategy := spec.Placement.ReplicaScheduling
	return strategy != nil && strategy.ReplicaSchedulingType != policyv1alpha1.ReplicaSchedulingTypeDuplicated
}

// follows reports whether the binding goes to all clusters that fit, whichever
// those are at the time: duplicated templates and kinds without replicas.
func follows(spec *workv1alpha2.ResourceBindingSpec) bool {
	return spec.Replicas == 0 || !divided(spec)
}
