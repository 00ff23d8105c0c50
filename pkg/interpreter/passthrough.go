package interpreter

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	apijson "k8s.io/apimachinery/pkg/util/json"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

const observedGeneration = "observedGeneration"

// reflectPassedThrough returns the whole status. What it says about observed
// generations is translated into the template's, since the object's own mean
// nothing elsewhere: see translate.
func reflectPassedThrough(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	status, ok := obj.Object["status"]
	if !ok || status == nil {
		return nil, nil
	}
	if fields, ok := status.(map[string]any); ok {
		if len(fields) == 0 {
			return nil, nil
		}
		status = inTemplateGenerations(obj, fields)
	}
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w: %w", ErrMalformed, err)
	}
	return &runtime.RawExtension{Raw: raw}, nil
}

// inTemplateGenerations copies as much of a status as holds observed
// generations and translates them.
func inTemplateGenerations(obj *unstructured.Unstructured, status map[string]any) map[string]any {
	of, err := strconv.ParseInt(annotationOf(obj, names.TemplateGenerationAnnotation), 10, 64)
	if err != nil {
		return status // not made from a template that tells
	}
	own := obj.GetGeneration()
	status = translate(status, own, of)
	conditions, ok := status["conditions"].([]any)
	if !ok {
		return status
	}
	translated := make([]any, len(conditions))
	for i, entry := range conditions {
		translated[i] = entry
		if condition, ok := entry.(map[string]any); ok {
			translated[i] = translate(condition, own, of)
		}
	}
	status = maps.Clone(status)
	status["conditions"] = translated
	return status
}

// translate replaces an observed generation, in a copy: by the template's if
// the newest generation of the object has been observed, else it goes, since
// which older one of the template it corresponds to is not known.
func translate(m map[string]any, own, template int64) map[string]any {
	observed, ok := number(m[observedGeneration])
	if !ok {
		return m
	}
	m = maps.Clone(m)
	if observed >= own {
		m[observedGeneration] = template
	} else {
		delete(m, observedGeneration)
	}
	return m
}

// healthOfPassedThrough goes by the conventions for conditions.
//
//   - An object without a status is healthy: it has nothing to wait for.
//   - One whose controller has not seen the newest spec is unknown.
//   - Else the first of the conditions Ready, Available and Healthy that there
//     is decides: True is healthy, False is not, anything else is unknown.
//   - An object that has none of them is unknown.
func healthOfPassedThrough(obj *unstructured.Unstructured) workv1alpha2.ResourceHealth {
	status, ok := obj.Object["status"].(map[string]any)
	if !ok || len(status) == 0 {
		return workv1alpha2.ResourceHealthy
	}
	if outdated(status, obj.GetGeneration()) {
		return workv1alpha2.ResourceUnknown
	}
	conditions, _ := status["conditions"].([]any)
	for _, kind := range []string{"Ready", "Available", "Healthy"} {
		for _, entry := range conditions {
			condition, ok := entry.(map[string]any)
			if !ok || condition["type"] != kind {
				continue
			}
			switch {
			case outdated(condition, obj.GetGeneration()):
				return workv1alpha2.ResourceUnknown
			case condition["status"] == "True":
				return workv1alpha2.ResourceHealthy
			case condition["status"] == "False":
				return workv1alpha2.ResourceUnhealthy
			}
			return workv1alpha2.ResourceUnknown
		}
	}
	return workv1alpha2.ResourceUnknown
}

func outdated(m map[string]any, generation int64) bool {
	observed, ok := number(m[observedGeneration])
	return ok && observed < generation
}

// aggregatePassedThrough shows the status of the only cluster. What several
// clusters say about a kind that is not known cannot be merged, so that the
// template's status stays as it is; the binding shows each.
func aggregatePassedThrough(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	if len(items) != 1 || items[0].Status == nil {
		return false, nil
	}
	raw := items[0].Status.Raw
	if len(raw) == 0 {
		return false, nil
	}
	var reported map[string]any
	if err := apijson.Unmarshal(raw, &reported); err != nil {
		return false, fmt.Errorf("status reported by cluster %q is not an object: %w: %w", items[0].ClusterName, ErrMalformed, err)
	}
	if reported == nil { // null
		return false, nil
	}
	old, _ := template.Object["status"].(map[string]any)
	if _, ok := reported[observedGeneration]; !ok && old[observedGeneration] != nil {
		reported[observedGeneration] = old[observedGeneration]
	}
	if equality.Semantic.DeepEqual(old, reported) {
		return false, nil
	}
	if template.Object == nil {
		template.Object = map[string]any{}
	}
	template.Object["status"] = reported
	return true, nil
}

func annotationOf(obj *unstructured.Unstructured, key string) string {
	metadata, _ := obj.Object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	value, _ := annotations[key].(string)
	return value
}

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), n == float64(int64(n))
	}
	return 0, false
}
