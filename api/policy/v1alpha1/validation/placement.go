package validation

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// maxAffinityName is the greatest length of an affinity's name, in bytes; the
// wire contract sets it.
const maxAffinityName = 32

// ValidatePlacement checks a placement, of a policy or of a binding.
func ValidatePlacement(placement *policyv1alpha1.Placement, path *field.Path) field.ErrorList {
	if placement == nil {
		return nil
	}
	errs := ValidateClusterAffinity(placement.ClusterAffinity, path.Child("clusterAffinity"))
	terms := path.Child("clusterAffinities")
	if placement.ClusterAffinity != nil && len(placement.ClusterAffinities) > 0 {
		errs = append(errs, field.Forbidden(terms,
			"clusterAffinity is set too; move it here as the only or first group, with an affinityName"))
	}
	errs = append(errs, validateAffinityTerms(placement.ClusterAffinities, terms)...)
	errs = append(errs, validateTolerations(placement.ClusterTolerations, path.Child("clusterTolerations"))...)
	for i := range placement.SpreadConstraints {
		errs = append(errs, validateSpreadConstraint(&placement.SpreadConstraints[i], path.Child("spreadConstraints").Index(i))...)
	}
	errs = append(errs, validateReplicaScheduling(placement.ReplicaScheduling, path.Child("replicaScheduling"))...)
	return append(errs, validateWorkloadAffinity(placement.WorkloadAffinity, path.Child("workloadAffinity"))...)
}

func validateAffinityTerms(terms []policyv1alpha1.ClusterAffinityTerm, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range terms {
		term, p := &terms[i], path.Index(i)
		errs = append(errs, validateAffinityName(term.AffinityName, seen, p.Child("affinityName"))...)
		errs = append(errs, ValidateClusterAffinity(&term.ClusterAffinity, p)...)
		seenHere := sets.New[string]()
		for j := range term.OverflowAffinities {
			overflow, op := &term.OverflowAffinities[j], p.Child("overflowAffinities").Index(j)
			errs = append(errs, validateAffinityName(overflow.AffinityName, seenHere, op.Child("affinityName"))...)
			errs = append(errs, ValidateClusterAffinity(&overflow.ClusterAffinity, op)...)
		}
	}
	return errs
}

func validateAffinityName(name string, seen sets.Set[string], path *field.Path) field.ErrorList {
	switch {
	case name == "":
		return field.ErrorList{field.Required(path, "give the group a name; it is reported in the binding's status")}
	case len(name) > maxAffinityName:
		return field.ErrorList{field.TooLong(path, name, maxAffinityName)}
	case seen.Has(name):
		return field.ErrorList{field.Duplicate(path, name)}
	}
	seen.Insert(name)
	return nil
}

func validateTolerations(tolerations []corev1.Toleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range tolerations {
		t, p := &tolerations[i], path.Index(i)
		errs = append(errs, oneOf(t.Operator, p.Child("operator"), corev1.TolerationOpEqual, corev1.TolerationOpExists)...)
		errs = append(errs, oneOf(t.Effect, p.Child("effect"),
			corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)...)
	}
	return errs
}

func validateSpreadConstraint(c *policyv1alpha1.SpreadConstraint, path *field.Path) field.ErrorList {
	errs := oneOf(c.SpreadByField, path.Child("spreadByField"),
		policyv1alpha1.SpreadByFieldCluster, policyv1alpha1.SpreadByFieldRegion,
		policyv1alpha1.SpreadByFieldZone, policyv1alpha1.SpreadByFieldProvider)
	switch {
	case c.SpreadByField != "" && c.SpreadByLabel != "":
		errs = append(errs, field.Forbidden(path.Child("spreadByLabel"),
			"spreadByField is set too; use one constraint for each"))
	case c.SpreadByField == "" && c.SpreadByLabel == "":
		errs = append(errs, field.Required(path.Child("spreadByField"), "write what to group clusters by, or use spreadByLabel"))
	case c.SpreadByLabel != "":
		errs = append(errs, metav1validation.ValidateLabelName(c.SpreadByLabel, path.Child("spreadByLabel"))...)
	}
	errs = append(errs, notNegative(int64(c.MinGroups), path.Child("minGroups"))...)
	errs = append(errs, notNegative(int64(c.MaxGroups), path.Child("maxGroups"))...)
	if c.MaxGroups > 0 && c.MinGroups > c.MaxGroups {
		errs = append(errs, field.Invalid(path.Child("maxGroups"), c.MaxGroups,
			fmt.Sprintf("must not be less than minGroups, which is %d; 0 sets no limit", c.MinGroups)))
	}
	return errs
}

func validateReplicaScheduling(s *policyv1alpha1.ReplicaSchedulingStrategy, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := oneOf(s.ReplicaSchedulingType, path.Child("replicaSchedulingType"),
		policyv1alpha1.ReplicaSchedulingTypeDuplicated, policyv1alpha1.ReplicaSchedulingTypeDivided)
	errs = append(errs, oneOf(s.ReplicaDivisionPreference, path.Child("replicaDivisionPreference"),
		policyv1alpha1.ReplicaDivisionPreferenceAggregated, policyv1alpha1.ReplicaDivisionPreferenceWeighted)...)
	if s.WeightPreference == nil {
		return errs
	}
	return append(errs, validateWeights(s.WeightPreference, path.Child("weightPreference"))...)
}

func validateWeights(w *policyv1alpha1.ClusterPreferences, path *field.Path) field.ErrorList {
	errs := oneOf(w.DynamicWeight, path.Child("dynamicWeight"), policyv1alpha1.DynamicWeightByAvailableReplicas)
	for i := range w.StaticWeightList {
		weight, p := &w.StaticWeightList[i], path.Child("staticWeightList").Index(i)
		errs = append(errs, ValidateClusterAffinity(&weight.TargetCluster, p.Child("targetCluster"))...)
		if weight.Weight < 1 {
			errs = append(errs, field.Invalid(p.Child("weight"), weight.Weight,
				"must be at least 1; to keep replicas off a cluster, leave it out of the list or the placement"))
		}
	}
	return errs
}

func validateWorkloadAffinity(affinity *policyv1alpha1.WorkloadAffinity, path *field.Path) field.ErrorList {
	if affinity == nil {
		return nil
	}
	var errs field.ErrorList
	if a := affinity.Affinity; a != nil {
		errs = append(errs, labelKey(a.GroupByLabelKey, path.Child("affinity", "groupByLabelKey"))...)
	}
	if a := affinity.AntiAffinity; a != nil {
		errs = append(errs, labelKey(a.GroupByLabelKey, path.Child("antiAffinity", "groupByLabelKey"))...)
	}
	return errs
}

func labelKey(key string, path *field.Path) field.ErrorList {
	if key == "" {
		return field.ErrorList{field.Required(path, "write the key of a label")}
	}
	return metav1validation.ValidateLabelName(key, path)
}

func notNegative(value int64, path *field.Path) field.ErrorList {
	if value < 0 {
		return field.ErrorList{field.Invalid(path, value, "must not be negative")}
	}
	return nil
}
