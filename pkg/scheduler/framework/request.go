package framework

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Request is one binding's question: which clusters fit?
type Request struct {
	// Spec is the binding's. It must not be changed; spec.placement is set.
	Spec *workv1alpha2.ResourceBindingSpec
	// Kind is the template's.
	Kind schema.GroupVersionKind
	// Affinity is the group of clusters in question; nil means all clusters.
	Affinity *policyv1alpha1.ClusterAffinity
	// AffinityField is where Affinity stands, for explanations.
	AffinityField string

	holders map[string]struct{}
	evicted map[string]string
}

// NewRequest prepares the request of a binding. Affinity and AffinityField are
// the caller's to set.
func NewRequest(spec *workv1alpha2.ResourceBindingSpec) *Request {
	r := &Request{
		Spec:    spec,
		Kind:    schema.FromAPIVersionAndKind(spec.Resource.APIVersion, spec.Resource.Kind),
		holders: make(map[string]struct{}, len(spec.Clusters)),
	}
	for i := range spec.Clusters {
		r.holders[spec.Clusters[i].Name] = struct{}{}
	}
	if len(spec.GracefulEvictionTasks) > 0 {
		r.evicted = make(map[string]string, len(spec.GracefulEvictionTasks))
		for i := range spec.GracefulEvictionTasks {
			task := &spec.GracefulEvictionTasks[i]
			r.evicted[task.FromCluster] = task.Reason
		}
	}
	return r
}

// Holds reports whether the cluster has the template already.
func (r *Request) Holds(cluster string) bool {
	_, ok := r.holders[cluster]
	return ok
}

// Evicted reports whether the template is being moved away from the cluster,
// and why.
func (r *Request) Evicted(cluster string) (reason string, ok bool) {
	reason, ok = r.evicted[cluster]
	return reason, ok
}
