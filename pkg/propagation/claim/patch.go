package claim

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mergePatch gives the JSON merge patch that turns the labels and annotations of
// before into those of after, on the condition that the object is still the one
// that was read. It is nil when there is nothing to change.
func mergePatch(before, after metav1.Object) ([]byte, error) {
	changes := map[string]any{}
	if d := diff(before.GetLabels(), after.GetLabels()); d != nil {
		changes["labels"] = d
	}
	if d := diff(before.GetAnnotations(), after.GetAnnotations()); d != nil {
		changes["annotations"] = d
	}
	if len(changes) == 0 {
		return nil, nil
	}
	changes["uid"] = before.GetUID()
	changes["resourceVersion"] = before.GetResourceVersion()
	return json.Marshal(map[string]any{"metadata": changes})
}

// diff is nil for equal maps. A nil value in it removes the key.
func diff(before, after map[string]string) map[string]any {
	var out map[string]any
	set := func(k string, v any) {
		if out == nil {
			out = map[string]any{}
		}
		out[k] = v
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			set(k, nil)
		}
	}
	for k, v := range after {
		if old, ok := before[k]; !ok || old != v {
			set(k, v)
		}
	}
	return out
}
