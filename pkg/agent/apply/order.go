package apply

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
	crdKind       = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
)

// phase orders kinds for a full sync: what others live in or are made of comes first, what can
// refuse or redirect others' requests comes last. Within a phase there is no order.
func phase(kind schema.GroupKind) int {
	switch kind.Group {
	case "":
		switch kind.Kind {
		case "Namespace":
			return 0
		case "ServiceAccount", "Secret", "ConfigMap", "PersistentVolume", "ResourceQuota", "LimitRange":
			return 2
		case "Service", "PersistentVolumeClaim":
			return 4
		}
	case "apiextensions.k8s.io":
		return 1
	case "scheduling.k8s.io", "storage.k8s.io":
		return 2
	case "rbac.authorization.k8s.io":
		if kind.Kind == "Role" || kind.Kind == "ClusterRole" {
			return 2
		}
		return 3
	case "admissionregistration.k8s.io", "apiregistration.k8s.io":
		return 6
	}
	return 5
}

// compareForApply orders keys for a full sync; deletion goes the other way.
func compareForApply(a, b inventory.Key) int {
	return cmp.Or(cmp.Compare(phase(a.GroupKind()), phase(b.GroupKind())), a.Compare(b))
}

func sortForApply(keys []inventory.Key) { slices.SortFunc(keys, compareForApply) }

func sortForDelete(keys []inventory.Key) {
	slices.SortFunc(keys, func(a, b inventory.Key) int { return compareForApply(b, a) })
}

// namespaceOf is the key of the namespace an object lives in; ok is false for cluster-scoped ones.
func namespaceOf(key inventory.Key) (inventory.Key, bool) {
	if key.Namespace == "" {
		return inventory.Key{}, false
	}
	return inventory.Key{Kind: "Namespace", Name: key.Namespace}, true
}
