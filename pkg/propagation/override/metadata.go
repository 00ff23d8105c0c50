package override

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// applyCommandArgs changes the list of words under name, "command" or "args", of
// the containers of that name. A manifest without such a container is left as it
// is. A list that becomes empty is removed.
func applyCommandArgs(obj *unstructured.Unstructured, name string, o *policyv1alpha1.CommandArgsOverrider) error {
	return eachContainer(obj, func(container map[string]any) error {
		if container["name"] != o.ContainerName {
			return nil
		}
		words, _ := container[name].([]any)
		switch o.Operator {
		case policyv1alpha1.OverriderOpAdd:
			for _, word := range o.Value {
				words = append(words, word)
			}
		case policyv1alpha1.OverriderOpRemove:
			words = slices.DeleteFunc(words, func(word any) bool {
				text, ok := word.(string)
				return ok && slices.Contains(o.Value, text)
			})
		default:
			return unknownOperator(o.Operator)
		}
		if len(words) == 0 {
			delete(container, name)
		} else {
			container[name] = words
		}
		return nil
	})
}

// applyKeyValues changes the map of metadata under name, "labels" or
// "annotations".
func applyKeyValues(obj *unstructured.Unstructured, name string, o *policyv1alpha1.LabelAnnotationOverrider) error {
	if _, ok := obj.Object["metadata"].(map[string]any); !ok {
		return nil // no object; it would be refused anyway
	}
	values, _, err := unstructured.NestedStringMap(obj.Object, "metadata", name)
	if err != nil {
		return fmt.Errorf("metadata.%s: %w", name, ErrBadMetadata)
	}
	if values == nil {
		values = map[string]string{}
	}
	for key, value := range o.Value {
		_, exists := values[key]
		switch o.Operator {
		case policyv1alpha1.OverriderOpAdd:
			values[key] = value
		case policyv1alpha1.OverriderOpReplace:
			if exists {
				values[key] = value
			}
		case policyv1alpha1.OverriderOpRemove:
			delete(values, key)
		default:
			return unknownOperator(o.Operator)
		}
	}
	if len(values) == 0 {
		unstructured.RemoveNestedField(obj.Object, "metadata", name)
		return nil
	}
	return unstructured.SetNestedStringMap(obj.Object, values, "metadata", name)
}
