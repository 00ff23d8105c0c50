package override

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podSpecs says where kinds keep their pod spec.
var podSpecs = map[schema.GroupKind][]string{
	{Kind: "Pod"}:                        {"spec"},
	{Kind: "ReplicationController"}:      {"spec", "template", "spec"},
	{Group: "apps", Kind: "Deployment"}:  {"spec", "template", "spec"},
	{Group: "apps", Kind: "ReplicaSet"}:  {"spec", "template", "spec"},
	{Group: "apps", Kind: "DaemonSet"}:   {"spec", "template", "spec"},
	{Group: "apps", Kind: "StatefulSet"}: {"spec", "template", "spec"},
	{Group: "batch", Kind: "Job"}:        {"spec", "template", "spec"},
	{Group: "batch", Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template", "spec"},
}

// eachContainer calls visit with every init container and container of the
// manifest, to be changed in place. Kinds without pods have none: a policy often
// selects a whole namespace, and is not wrong because of the Services in it.
func eachContainer(obj *unstructured.Unstructured, visit func(container map[string]any) error) error {
	path, ok := podSpecs[obj.GroupVersionKind().GroupKind()]
	if !ok {
		return nil
	}
	var spec any = obj.Object
	for _, name := range path {
		m, ok := spec.(map[string]any)
		if !ok {
			return nil
		}
		spec = m[name]
	}
	m, ok := spec.(map[string]any)
	if !ok {
		return nil
	}
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := m[list].([]any)
		for i := range containers {
			container, ok := containers[i].(map[string]any)
			if !ok {
				continue
			}
			if err := visit(container); err != nil {
				return fmt.Errorf("%s[%d]: %w", list, i, err)
			}
		}
	}
	return nil
}
