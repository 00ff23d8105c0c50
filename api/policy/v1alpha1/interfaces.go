package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Policy is a propagation policy of either scope: *PropagationPolicy or
// *ClusterPropagationPolicy. Its namespace is empty for the latter.
// +k8s:deepcopy-gen=false
type Policy interface {
	metav1.Object
	runtime.Object
	// GetSpec returns the spec itself, not a copy.
	GetSpec() *PropagationSpec
}

// Override is an override policy of either scope: *OverridePolicy or
// *ClusterOverridePolicy. Its namespace is empty for the latter.
// +k8s:deepcopy-gen=false
type Override interface {
	metav1.Object
	runtime.Object
	// GetSpec returns the spec itself, not a copy.
	GetSpec() *OverrideSpec
}

var (
	_ Policy   = &PropagationPolicy{}
	_ Policy   = &ClusterPropagationPolicy{}
	_ Override = &OverridePolicy{}
	_ Override = &ClusterOverridePolicy{}
)

// GetSpec implements Policy.
func (p *PropagationPolicy) GetSpec() *PropagationSpec { return &p.Spec }

// GetSpec implements Policy.
func (p *ClusterPropagationPolicy) GetSpec() *PropagationSpec { return &p.Spec }

// GetSpec implements Override.
func (p *OverridePolicy) GetSpec() *OverrideSpec { return &p.Spec }

// GetSpec implements Override.
func (p *ClusterOverridePolicy) GetSpec() *OverrideSpec { return &p.Spec }

// ExplicitPriority is the priority of a policy, 0 when it has none.
func (s *PropagationSpec) ExplicitPriority() int32 {
	if s.Priority == nil {
		return 0
	}
	return *s.Priority
}
