package native

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// cronJob runs whole in every cluster; that is always well, whatever becomes
// of the jobs it starts.
var cronJob = Kind{
	ReflectStatus:   reflectCronJob,
	AggregateStatus: aggregateCronJob,
}

type cronJobStatus struct {
	Active             []corev1.ObjectReference `json:"active,omitempty"`
	LastScheduleTime   string                   `json:"lastScheduleTime,omitempty"`
	LastSuccessfulTime string                   `json:"lastSuccessfulTime,omitempty"`
}

func reflectCronJob(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	s := status(obj)
	report := cronJobStatus{
		LastScheduleTime:   text(s, "lastScheduleTime"),
		LastSuccessfulTime: text(s, "lastSuccessfulTime"),
	}
	for _, entry := range list(s, "active") {
		if ref, ok := entry.(map[string]any); ok {
			report.Active = append(report.Active, corev1.ObjectReference{
				APIVersion: text(ref, "apiVersion"),
				Kind:       text(ref, "kind"),
				Namespace:  text(ref, "namespace"),
				Name:       text(ref, "name"),
				UID:        types.UID(text(ref, "uid")),
			})
		}
	}
	return encode(report)
}

// aggregateCronJob lists the running jobs of every cluster, by cluster and in
// the order each reports, and gives the latest times.
func aggregateCronJob(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	members, err := decode[cronJobStatus](items)
	active := []any{}
	listed := map[corev1.ObjectReference]bool{}
	scheduled, succeeded := make([]string, len(members)), make([]string, len(members))
	for i := range members {
		s := &members[i].status
		scheduled[i], succeeded[i] = s.LastScheduleTime, s.LastSuccessfulTime
		for _, ref := range s.Active {
			if listed[ref] {
				continue
			}
			listed[ref] = true
			active = append(active, map[string]any{
				"apiVersion": ref.APIVersion,
				"kind":       ref.Kind,
				"namespace":  ref.Namespace,
				"name":       ref.Name,
				"uid":        string(ref.UID),
			})
		}
	}
	return setStatus(template, map[string]any{
		"active":             active,
		"lastScheduleTime":   timeOrNull(pickTime(time.Time.After, scheduled...)),
		"lastSuccessfulTime": timeOrNull(pickTime(time.Time.After, succeeded...)),
	}), err
}
