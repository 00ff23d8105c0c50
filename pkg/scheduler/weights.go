package scheduler

import (
	"cmp"
	"fmt"
	"slices"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/placement"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

const weightListField = "placement.replicaScheduling.weightPreference.staticWeightList"

// weighing knows the static weights of a placement. Rules that only name
// clusters, which is what most policies have, are looked up; the others are
// matched one after the other, the heaviest first.
type weighing struct {
	equal  bool // nobody gave weights: all clusters count as 1
	byName map[string]int64
	rules  []weightRule
}

type weightRule struct {
	target *policyv1alpha1.ClusterAffinity
	weight int64
	field  string
}

// newWeighing prepares the weights of a binding. A negative weight is an error
// here, too: the API refuses it, but a binding may be written by hand.
func newWeighing(spec *workv1alpha2.ResourceBindingSpec) (*weighing, error) {
	strategy := spec.Placement.ReplicaScheduling
	if spec.Replicas <= 0 || !divided(spec) || strategy.WeightPreference == nil ||
		len(strategy.WeightPreference.StaticWeightList) == 0 {
		return &weighing{equal: true}, nil
	}
	list := strategy.WeightPreference.StaticWeightList
	w := &weighing{byName: make(map[string]int64, len(list))}
	for i := range list {
		target, weight := &list[i].TargetCluster, list[i].Weight
		if weight < 0 {
			return nil, fmt.Errorf("%s[%d].weight: %d is negative", weightListField, i, weight)
		}
		if target.LabelSelector == nil && target.FieldSelector == nil &&
			len(target.ExcludeClusters) == 0 && len(target.ClusterNames) > 0 {
			for _, name := range target.ClusterNames {
				w.byName[name] = max(w.byName[name], weight)
			}
			continue
		}
		w.rules = append(w.rules, weightRule{
			target: target, weight: weight, field: fmt.Sprintf("%s[%d].targetCluster", weightListField, i)})
	}
	slices.SortStableFunc(w.rules, func(a, b weightRule) int { return cmp.Compare(b.weight, a.weight) })
	return w, nil
}

// weigh returns the highest weight that a rule gives the cluster, or 0.
func (w *weighing) weigh(cluster *snapshot.Cluster) (int64, error) {
	if w.equal {
		return 1, nil
	}
	weight := w.byName[cluster.Name()]
	for _, rule := range w.rules {
		if rule.weight <= weight {
			break
		}
		matches, err := placement.Matches(cluster.Object, rule.target)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", rule.field, err)
		}
		if matches {
			return rule.weight, nil
		}
	}
	return weight, nil
}
