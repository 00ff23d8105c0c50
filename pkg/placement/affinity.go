package placement

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ErrInvalidAffinity is wrapped by every error of Matches. Such an affinity
// matches nothing; it has to be corrected in the policy, which validation
// normally sees to.
var ErrInvalidAffinity = errors.New("invalid cluster affinity")

// Matches says whether the affinity admits the cluster. A nil or empty affinity
// admits every cluster. An excluded cluster is never admitted; names, labels and
// fields must then all agree. Neither argument is changed.
func Matches(cluster *clusterv1alpha1.Cluster, affinity *policyv1alpha1.ClusterAffinity) (bool, error) {
	if affinity == nil {
		return true, nil
	}
	if slices.Contains(affinity.ExcludeClusters, cluster.Name) {
		return false, nil
	}
	if len(affinity.ClusterNames) > 0 && !slices.Contains(affinity.ClusterNames, cluster.Name) {
		return false, nil
	}
	if ok, err := matchesLabels(cluster, affinity.LabelSelector); !ok || err != nil {
		return false, err
	}
	return matchesFields(cluster, affinity.FieldSelector)
}

func matchesLabels(cluster *clusterv1alpha1.Cluster, selector *metav1.LabelSelector) (bool, error) {
	if selector == nil {
		return true, nil
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("%w: labelSelector: %w", ErrInvalidAffinity, err)
	}
	return s.Matches(labels.Set(cluster.Labels)), nil
}

func matchesFields(cluster *clusterv1alpha1.Cluster, selector *policyv1alpha1.FieldSelector) (bool, error) {
	if selector == nil {
		return true, nil
	}
	for i := range selector.MatchExpressions {
		ok, err := matchesField(cluster, &selector.MatchExpressions[i])
		if err != nil {
			return false, fmt.Errorf("%w: fieldSelector.matchExpressions[%d]: %w", ErrInvalidAffinity, i, err)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// matchesField tests one field. A cluster without the field satisfies NotIn and
// not In. Zones are several values of one field: In wants all of them among the
// requirement's, since a replica may land in any; NotIn wants none.
func matchesField(cluster *clusterv1alpha1.Cluster, r *corev1.NodeSelectorRequirement) (bool, error) {
	var have []string
	switch r.Key {
	case policyv1alpha1.ProviderField:
		have = present(cluster.Spec.Provider)
	case policyv1alpha1.RegionField:
		have = present(cluster.Spec.Region)
	case policyv1alpha1.ZoneField:
		if have = cluster.Spec.Zones; len(have) == 0 {
			have = present(cluster.Spec.Zone)
		}
	default:
		return false, fmt.Errorf("key %q is none of provider, region, zone", r.Key)
	}
	wanted := func(value string) bool { return slices.Contains(r.Values, value) }
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		return len(have) > 0 && !slices.ContainsFunc(have, func(v string) bool { return !wanted(v) }), nil
	case corev1.NodeSelectorOpNotIn:
		return !slices.ContainsFunc(have, wanted), nil
	default:
		return false, fmt.Errorf("operator %q is none of In, NotIn", r.Operator)
	}
}

func present(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}
