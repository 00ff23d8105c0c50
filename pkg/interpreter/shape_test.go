package interpreter

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// words are field names that some kind looks at, and values that mean
// something to some kind: byte-wise fuzzing would hardly ever spell them.
var (
	words = []string{
		"metadata", "annotations", "labels", "generation", "creationTimestamp",
		"spec", "replicas", "parallelism", "completions", "suspend", "manualSelector", "selector", "template", "containers",
		"resources", "requests", "limits", "affinity", "nodeAffinity", "tolerations", "volumes", "volumeMounts", "volumeClaimTemplates",
		"ports", "nodePort", "clusterIP", "claimRef", "finalizers", "updateStrategy", "rollingUpdate", "partition", "restartPolicy",
		"status", "observedGeneration", "readyReplicas", "conditions", "type", "reason", "message", "lastTransitionTime",
		"loadBalancer", "ingress", "ip", "hostname", "ipMode", "phase", "capacity", "storage", "accessModes",
		"active", "failed", "succeeded", "startTime", "completionTime", "lastScheduleTime", "containerStatuses", "state", "terminated",
		"running", "exitCode", "name", "currentRevision", "updateRevision", "desiredReplicas", "resourceTemplateGeneration",
	}
	values = []string{
		"True", "False", "Unknown", "Available", "Complete", "Failed", "FailureTarget", "Suspended", "Ready", "DisruptionAllowed",
		"LoadBalancer", "None", "Bound", "Lost", "Pending", "Succeeded", "Never", "10Gi", "1.2.3.4", "kube-api-access-x",
		"2026-01-01T00:00:00Z", "2026-01-01T01:00:00+02:00", "yesterday", "7", "",
	}
)

func anyValue() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.SampledFrom(values).AsAny(),
		rapid.Int64Range(-2, 9).AsAny(), rapid.Int64().AsAny(), rapid.Float64Range(-3, 3).AsAny(),
		rapid.SliceOfN(rapid.Deferred(anyValue), 0, 3).AsAny(),
		rapid.SliceOfN(rapid.Deferred(anyMap).AsAny(), 0, 3).AsAny(),
		rapid.Deferred(anyMap).AsAny(),
	)
}

func anyMap() *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom(words), rapid.Deferred(anyValue), 0, 5)
}

// TestAnyShape runs the checks of the fuzz targets over objects and reports
// that use the right words in the wrong places.
func TestAnyShape(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		content := map[string]any{
			"metadata": anyValue().Draw(r, "metadata"),
			"spec":     anyMap().Draw(r, "spec"),
			"status":   anyMap().Draw(r, "status"),
		}
		raw, err := json.Marshal(content)
		if err != nil {
			r.Fatal(err)
		}
		checkObject(r, raw)

		reports := make([]workv1alpha2.AggregatedStatusItem, 3)
		for i, cluster := range []string{"eu", "ap", "us"} {
			status, err := json.Marshal(anyMap().Draw(r, "report"))
			if err != nil {
				r.Fatal(err)
			}
			reports[i] = workv1alpha2.AggregatedStatusItem{ClusterName: cluster, Status: &runtime.RawExtension{Raw: status}}
		}
		checkReports(r, raw, reports)
	})
}
