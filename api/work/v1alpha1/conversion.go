package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// RegisterConversions registers the conversions between the two versions of
// bindings.
func RegisterConversions(_ *runtime.Scheme) error { return nil }
