package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Kinds that have nothing to report, or whose status on the federation is not
// a sum over members.
var (
	secret         = Kind{Prune: pruneSecret}
	serviceAccount = Kind{Prune: pruneServiceAccount}
	clusterRole    = Kind{Prune: pruneClusterRole}

	// The federation has a namespace of its own, so its phase is not up to the
	// members.
	namespace = Kind{
		ReflectStatus: reflectNamespace,
		Health: func(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
			return healthyIf(text(status(obj), "phase") != "Terminating"), nil
		},
		Prune: pruneNamespace,
	}

	// The federation serves the custom resource itself: its own conditions are
	// what decides whether templates of that kind can be written.
	customResourceDefinition = Kind{
		ReflectStatus: reflectDefinition,
		Health: func(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
			return healthyIf(text(findCondition(status(obj), "Established"), "status") == conditionTrue), nil
		},
	}
)

// pruneSecret empties a token: it authenticates to the federation, not to the
// member, which fills in its own.
func pruneSecret(obj *unstructured.Unstructured) {
	if text(obj.Object, "type") != "kubernetes.io/service-account-token" {
		return
	}
	delete(obj.Object, "data")
	dropMetadata(obj, "annotations", "kubernetes.io/service-account.uid")
	dropMetadata(obj, "labels", "kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since")
}

// pruneServiceAccount takes off the names of tokens, which only exist where
// they were made.
func pruneServiceAccount(obj *unstructured.Unstructured) {
	delete(obj.Object, "secrets")
}

// pruneClusterRole takes the rules off a role that gathers them from others:
// each member gathers its own.
func pruneClusterRole(obj *unstructured.Unstructured) {
	if child(obj.Object, "aggregationRule") != nil {
		delete(obj.Object, "rules")
	}
}

func reflectNamespace(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	phase := text(status(obj), "phase")
	if phase == "" {
		return nil, nil
	}
	return encode(map[string]any{"phase": phase})
}

// pruneNamespace takes off the finalizer and the label that API servers give
// to every namespace.
func pruneNamespace(obj *unstructured.Unstructured) {
	drop(obj.Object, "spec", "finalizers")
	dropMetadata(obj, "labels", "kubernetes.io/metadata.name")
}

var definitionConditions = []conditionRule{
	{kind: "Established", good: conditionTrue},
	{kind: "NamesAccepted", good: conditionTrue},
}

func reflectDefinition(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	conditions := reportConditions(status(obj), definitionConditions)
	if len(conditions) == 0 {
		return nil, nil
	}
	return encode(map[string]any{"conditions": conditions})
}
