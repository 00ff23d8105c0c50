package native

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// aggregateJob adds up the counts and lets the job finish once every cluster
// has: Complete if it is complete everywhere, else Failed. While some clusters
// have failed and others still run it is on its way to fail, which is what
// FailureTarget says.
//
// It keeps to what API servers demand of a job's status since they validate it
// (k8s.io/kubernetes pkg/apis/batch/validation): a finished job has a start,
// nothing active, and the condition that announced its end; a complete one has
// a completion time not before the start; succeeded and failed never decrease;
// the start stays unless the job is suspended; and an end is final, so that a
// finished template is left alone.
func aggregateJob(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	old := status(template)
	if isTrue(old, jobComplete) || isTrue(old, jobFailed) {
		return false, nil
	}
	s, err := sum[jobStatus](template, items)
	delete(s.fields, "observedGeneration") // Jobs have none.
	for _, field := range []string{"succeeded", "failed"} {
		s.fields[field] = max(integer(s.fields, field), integer(old, field))
	}

	start := jobStart(template, s.members)
	conditions := suspension(old, s.members)
	failure, failing := jobFailure(old, s.members)
	if failing {
		conditions = append(conditions, failure)
	}
	completion := ""
	ended := everyone(s.members, (*jobStatus).finished)
	if ended && start == "" {
		start = jobStartAtEnd(template, s.members)
	}
	if ended && start != "" {
		s.fields["active"], s.fields["ready"], s.fields["terminating"] = int64(0), int64(0), int64(0)
		s.fields["uncountedTerminatedPods"] = nil
		if failing {
			failure.Type = jobFailed
			failure.LastTransitionTime = pickTime(time.Time.After, endTimes(s.members)...)
			conditions = append(conditions, failure)
		} else {
			completion = pickTime(time.Time.After, append(endTimes(s.members), start)...)
			conditions = append(conditions, completed(jobSuccessCriteriaMet, completion, len(s.members)),
				completed(jobComplete, completion, len(s.members)))
		}
	}
	s.fields["startTime"] = timeOrNull(start)
	s.fields["completionTime"] = timeOrNull(completion)
	s.fields["conditions"] = conditionList(conditions, "lastProbeTime")
	return setStatus(template, s.fields), err
}

func isTrue(status map[string]any, kind string) bool {
	return text(findCondition(status, kind), "status") == conditionTrue
}

func completed(kind, at string, clusters int) condition {
	return condition{
		Type: kind, Status: conditionTrue, Reason: "CompletionsReached",
		Message: fmt.Sprintf("%d of %d clusters", clusters, clusters), LastTransitionTime: at,
	}
}

// jobStart is when the first cluster started. Once set it stays, unless the
// job is suspended: resuming it starts it anew.
func jobStart(template *unstructured.Unstructured, members []member[jobStatus]) string {
	suspended, _ := spec(template)["suspend"].(bool)
	if start := pickTime(time.Time.Before, text(status(template), "startTime")); start != "" && !suspended {
		return start
	}
	starts := make([]string, len(members))
	for i := range members {
		starts[i] = members[i].status.StartTime
	}
	return pickTime(time.Time.Before, starts...)
}

// jobStartAtEnd makes up for jobs that ended without a start being reported:
// the earliest end, else when the template was made.
func jobStartAtEnd(template *unstructured.Unstructured, members []member[jobStatus]) string {
	if start := pickTime(time.Time.Before, endTimes(members)...); start != "" {
		return start
	}
	return pickTime(time.Time.Before, text(child(template.Object, "metadata"), "creationTimestamp"))
}

// endTimes lists when each cluster finished.
func endTimes(members []member[jobStatus]) []string {
	times := make([]string, 0, len(members)+1)
	for i := range members {
		s := &members[i].status
		switch end := s.has(jobComplete); {
		case end != nil && s.CompletionTime != "":
			times = append(times, s.CompletionTime)
		case end != nil:
			times = append(times, end.LastTransitionTime)
		default:
			if end := s.has(jobFailed); end != nil {
				times = append(times, end.LastTransitionTime)
			}
		}
	}
	return times
}

// jobFailure returns the FailureTarget condition, naming the clusters that
// have failed or are about to. Once announced a failure stays, also when the
// cluster that failed is no longer among the targets.
func jobFailure(old map[string]any, members []member[jobStatus]) (condition, bool) {
	var failing []voice
	for i := range members {
		s := &members[i].status
		c := s.has(jobFailed)
		if c == nil {
			c = s.has(jobFailureTarget)
		}
		if c != nil {
			failed := *c
			failed.Type = jobFailureTarget
			failing = append(failing, voice{cluster: members[i].cluster, conditions: []condition{failed}})
		}
	}
	if len(failing) > 0 {
		return condition{
			Type: jobFailureTarget, Status: conditionTrue,
			Reason:             failing[0].conditions[0].Reason,
			Message:            quote(jobFailureTarget, failing, len(members)),
			LastTransitionTime: beginning(jobFailureTarget, failing, time.Time.Before),
		}, true
	}
	if !isTrue(old, jobFailureTarget) {
		return condition{}, false
	}
	c := findCondition(old, jobFailureTarget)
	return condition{
		Type: jobFailureTarget, Status: conditionTrue,
		Reason:             text(c, "reason"),
		Message:            text(c, "message"),
		LastTransitionTime: pickTime(time.Time.Before, text(c, "lastTransitionTime")),
	}, true
}

// suspension returns the Suspended condition: true if every cluster that has
// not finished is suspended, false if the job once was.
func suspension(old map[string]any, members []member[jobStatus]) []condition {
	merged := condition{Type: jobSuspended, Status: conditionFalse, Reason: "JobResumed"}
	everywhere, somewhere, known := len(members) > 0, false, findCondition(old, jobSuspended) != nil
	var times []string
	for i := range members {
		s := &members[i].status
		c := (voice{conditions: s.Conditions}).find(jobSuspended)
		if c != nil {
			known = true
			times = append(times, c.LastTransitionTime)
		}
		switch {
		case c != nil && c.Status == conditionTrue:
			somewhere = true
		case !s.finished():
			everywhere = false
		}
	}
	if !known {
		return nil
	}
	if everywhere && somewhere {
		merged.Status, merged.Reason = conditionTrue, "JobSuspended"
	}
	merged.LastTransitionTime = pickTime(time.Time.After, times...)
	return []condition{merged}
}
