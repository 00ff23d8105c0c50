package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Binding is a binding of either scope: *ResourceBinding or
// *ClusterResourceBinding. Its namespace is empty for the latter.
// +k8s:deepcopy-gen=false
type Binding interface {
	metav1.Object
	runtime.Object
	// GetSpec returns the spec itself, not a copy.
	GetSpec() *ResourceBindingSpec
	// GetStatus returns the status itself, not a copy.
	GetStatus() *ResourceBindingStatus
}

var (
	_ Binding = &ResourceBinding{}
	_ Binding = &ClusterResourceBinding{}
)

// GetSpec implements Binding.
func (b *ResourceBinding) GetSpec() *ResourceBindingSpec { return &b.Spec }

// GetStatus implements Binding.
func (b *ResourceBinding) GetStatus() *ResourceBindingStatus { return &b.Status }

// GetSpec implements Binding.
func (b *ClusterResourceBinding) GetSpec() *ResourceBindingSpec { return &b.Spec }

// GetStatus implements Binding.
func (b *ClusterResourceBinding) GetStatus() *ResourceBindingStatus { return &b.Status }
