package native

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// DivideCompletions gives each cluster its part of a job's spec.completions,
// in proportion to the replicas it got. Parts are rounded down and what is
// left over goes, one each, to the largest fractions, then to the names that
// come first (the method of largest remainders), so that they add up.
//
// It returns false when there is nothing to divide: the job names no
// completions, or the clusters' replicas do not add up to its parallelism,
// which means that they are copies rather than shares and each owes all.
func DivideCompletions(template *unstructured.Unstructured, clusters []workv1alpha2.TargetCluster) (map[string]int32, bool, error) {
	if _, named := spec(template)["completions"]; !named {
		return nil, false, nil
	}
	completions, err := count(spec(template), "completions")
	if err != nil {
		return nil, false, err
	}
	parallelism, err := count(spec(template), "parallelism")
	if err != nil {
		return nil, false, err
	}
	var total int64
	for _, c := range clusters {
		if c.Replicas < 0 {
			return nil, false, fmt.Errorf("cluster %q has %d replicas: %w", c.Name, c.Replicas, ErrMalformed)
		}
		total += int64(c.Replicas)
	}
	if total == 0 || total != int64(parallelism) {
		return nil, false, nil
	}

	parts := make(map[string]int32, len(clusters))
	left := int64(completions)
	for _, c := range clusters {
		part := int64(completions) * int64(c.Replicas) / total
		parts[c.Name] += int32(part)
		left -= part
	}
	byFraction := slices.Clone(clusters)
	slices.SortFunc(byFraction, func(a, b workv1alpha2.TargetCluster) int {
		fraction := func(c workv1alpha2.TargetCluster) int64 { return int64(completions) * int64(c.Replicas) % total }
		return cmp.Or(cmp.Compare(fraction(b), fraction(a)), cmp.Compare(a.Name, b.Name))
	})
	for _, c := range byFraction[:left] {
		parts[c.Name]++
	}
	return parts, true, nil
}
