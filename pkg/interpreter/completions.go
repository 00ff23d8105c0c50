package interpreter

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter/native"
)

// ReviseCompletions gives a Job, in place, the part of its completions that
// the named cluster owes when its parallelism is divided over clusters. It
// reads the parallelism of the template to tell shares from copies, so call it
// before ReviseReplicas. Any other kind, a Job that names no completions, and
// one that every cluster runs whole are left alone.
//
// The method is that of native.DivideCompletions; the parts add up.
func ReviseCompletions(obj *unstructured.Unstructured, clusters []workv1alpha2.TargetCluster, cluster string) error {
	if kind := obj.GroupVersionKind().GroupKind(); kind.Group != "batch" || kind.Kind != "Job" {
		return nil
	}
	parts, divided, err := native.DivideCompletions(obj, clusters)
	if err != nil {
		return fmt.Errorf("completions of %s in cluster %q: %w", describe(obj), cluster, err)
	}
	if !divided {
		return nil
	}
	part, ok := parts[cluster]
	if !ok {
		return fmt.Errorf("completions of %s: cluster %q is not among its clusters: %w", describe(obj), cluster, ErrMalformed)
	}
	// A template that names completions has a spec.
	obj.Object["spec"].(map[string]any)["completions"] = int64(part)
	return nil
}
