package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// job counts spec.parallelism as its replicas. How many completions each
// cluster owes is another question: see DivideCompletions.
var job = Kind{
	Replicas:        replicasIn("parallelism"),
	ReviseReplicas:  reviseIn("parallelism"),
	ReflectStatus:   reflectJob,
	Health:          jobHealth,
	AggregateStatus: aggregateJob,
	Prune:           pruneJob,
}

const (
	jobComplete           = "Complete"
	jobFailed             = "Failed"
	jobFailureTarget      = "FailureTarget"
	jobSuccessCriteriaMet = "SuccessCriteriaMet"
	jobSuspended          = "Suspended"
)

var jobConditions = []conditionRule{
	{kind: jobSuspended, good: conditionFalse},
	{kind: jobFailureTarget, good: conditionFalse},
	{kind: jobFailed, good: conditionFalse},
	{kind: jobComplete, good: conditionTrue},
}

// jobStatus leaves out which indexes are completed: every cluster counts its
// own from 0.
type jobStatus struct {
	tallied
	StartTime      string `json:"startTime,omitempty"`
	CompletionTime string `json:"completionTime,omitempty"`
	Active         int64  `json:"active,omitempty"`
	Ready          int64  `json:"ready,omitempty"`
	Terminating    int64  `json:"terminating,omitempty"`
	Succeeded      int64  `json:"succeeded,omitempty"`
	Failed         int64  `json:"failed,omitempty"`
}

func (s *jobStatus) counters() []counter {
	return []counter{
		{"active", &s.Active},
		{"ready", &s.Ready},
		{"terminating", &s.Terminating},
		{"succeeded", &s.Succeeded},
		{"failed", &s.Failed},
	}
}

func (s *jobStatus) bound() { atMost(s.Active, &s.Ready) }

// has returns the condition if it is true.
func (s *jobStatus) has(kind string) *condition {
	if c := (voice{conditions: s.Conditions}).find(kind); c != nil && c.Status == conditionTrue {
		return c
	}
	return nil
}

func (s *jobStatus) finished() bool {
	return s.has(jobComplete) != nil || s.has(jobFailed) != nil
}

func reflectJob(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	report := read[jobStatus](obj, jobConditions)
	report.StartTime = text(status(obj), "startTime")
	report.CompletionTime = text(status(obj), "completionTime")
	return encode(report)
}

// jobHealth: a job is healthy, running, waiting or done, unless it has failed
// or is about to.
func jobHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	s := status(obj)
	return healthyIf(text(findCondition(s, jobFailed), "status") != conditionTrue &&
		text(findCondition(s, jobFailureTarget), "status") != conditionTrue), nil
}

// jobLabels are put on a job's pods, and so into its selector, by the API
// server that creates it; they hold the UID it has there.
var jobLabels = []string{
	"controller-uid", "batch.kubernetes.io/controller-uid",
	"job-name", "batch.kubernetes.io/job-name",
}

// pruneJob takes off the selector the API server generated, unless the user
// has taken the selector into their own hands.
func pruneJob(obj *unstructured.Unstructured) {
	s := spec(obj)
	if manual, _ := s["manualSelector"].(bool); manual || s == nil {
		return
	}
	delete(s, "selector")
	if meta := child(child(s, "template"), "metadata"); meta != nil {
		drop(meta, "labels", jobLabels...)
	}
	// Defaulting copies the pods' labels to a job that has none.
	dropMetadata(obj, "labels", jobLabels...)
}
