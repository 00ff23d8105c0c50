package native

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// replicasIn makes the Replicas of a kind that keeps its count in a field of
// spec, 1 if absent as the API defaults it, and its pods in spec.template.
func replicasIn(field string) func(*unstructured.Unstructured) (int32, *workv1alpha2.ReplicaRequirements, error) {
	return func(obj *unstructured.Unstructured) (int32, *workv1alpha2.ReplicaRequirements, error) {
		n, err := count(spec(obj), field)
		if err != nil {
			return 0, nil, err
		}
		req, err := requirements(obj)
		if err != nil {
			return 0, nil, err
		}
		return n, req, nil
	}
}

// reviseIn makes the ReviseReplicas of a kind that keeps its count in a field
// of spec.
func reviseIn(field string) func(*unstructured.Unstructured, int32) error {
	return func(obj *unstructured.Unstructured, replicas int32) error {
		s := spec(obj)
		if s == nil {
			return fmt.Errorf("spec is missing: %w", ErrMalformed)
		}
		s[field] = int64(replicas)
		return nil
	}
}
