package interpreter

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serverMetadata is what API servers set on every object, and owners and
// finalizers, which name things that only exist where they were set.
var serverMetadata = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "selfLink", "managedFields", "ownerReferences", "finalizers",
}

// lastApplied is kubectl's own copy of the template.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func (interpreter) Prune(obj *unstructured.Unstructured) {
	if kind, _ := kindOf(obj); kind.Prune != nil {
		kind.Prune(obj)
	}
	delete(obj.Object, "status")
	metadata, ok := obj.Object["metadata"].(map[string]any)
	if !ok {
		return
	}
	for _, field := range serverMetadata {
		delete(metadata, field)
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		delete(annotations, lastApplied)
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
}
