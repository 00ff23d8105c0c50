package native

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// podPhases ranks phases: a pod shows the first that it has in any cluster.
var podPhases = []string{
	string(corev1.PodFailed), string(corev1.PodPending), string(corev1.PodRunning), string(corev1.PodSucceeded),
}

// aggregatePod shows one pod for the copies in every cluster: the phase that
// most needs attention, the conditions that hold everywhere, and per container
// the restarts together, ready if it is everywhere. A pod that no cluster has
// keeps its status.
func aggregatePod(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	members, err := decode[podStatus](items)
	if len(members) == 0 {
		return false, err
	}
	worst, shown := len(podPhases), (*member[podStatus])(nil)
	voices, starts := make([]voice, len(members)), make([]string, len(members))
	for i := range members {
		m := &members[i]
		voices[i] = voice{cluster: m.cluster, conditions: m.status.Conditions}
		starts[i] = m.status.StartTime
		rank := slices.Index(podPhases, m.status.Phase)
		if rank < 0 {
			rank = slices.Index(podPhases, string(corev1.PodPending))
		}
		if rank < worst {
			worst, shown = rank, m
		}
	}
	message := ""
	if shown.status.Message != "" {
		message = shown.cluster + ": " + shorten(shown.status.Message)
	}
	return setStatus(template, map[string]any{
		"phase":      podPhases[worst],
		"reason":     shown.status.Reason,
		"message":    message,
		"startTime":  timeOrNull(pickTime(time.Time.Before, starts...)),
		"conditions": conditionList(mergeConditions(podConditions, voices)),
		"initContainerStatuses": mergeContainers(template, "initContainerStatuses", members,
			func(s *podStatus) []containerStatus { return s.InitContainerStatuses }),
		"containerStatuses": mergeContainers(template, "containerStatuses", members,
			func(s *podStatus) []containerStatus { return s.ContainerStatuses }),
	}), err
}

// mergeContainers merges the containers of the same name, by name.
func mergeContainers(template *unstructured.Unstructured, field string, members []member[podStatus], of func(*podStatus) []containerStatus) []any {
	byName := map[string][]containerStatus{}
	for i := range members {
		for _, c := range of(&members[i].status) {
			byName[c.Name] = append(byName[c.Name], c)
		}
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)

	mayRestart := slices.Contains([]string{"", string(corev1.RestartPolicyAlways)}, text(spec(template), "restartPolicy"))
	merged := make([]any, 0, len(names))
	for _, name := range names {
		copies := byName[name]
		everywhere := len(copies) >= len(members)
		out := containerStatus{Name: name, Image: copies[0].Image, ImageID: copies[0].ImageID, Ready: everywhere, Started: everywhere}
		for _, c := range copies {
			out.Ready = out.Ready && c.Ready
			out.Started = out.Started && c.Started
			out.RestartCount = min(out.RestartCount+max(c.RestartCount, 0), 1<<31-1)
		}
		state := stateOf(copies)
		if old := terminatedBefore(template, field, name); old != nil && !mayRestart && state["terminated"] == nil {
			state = old
		}
		merged = append(merged, map[string]any{
			"name": out.Name, "image": out.Image, "imageID": out.ImageID,
			"ready": out.Ready, "started": out.Started, "restartCount": out.RestartCount,
			"state": state,
		})
	}
	return merged
}

// stateOf shows the state that most needs attention: waiting, running, ended
// badly, ended.
func stateOf(copies []containerStatus) map[string]any {
	rank := func(c containerStatus) int {
		switch {
		case c.State == nil || c.State.Waiting != nil:
			return 0
		case c.State.Running != nil:
			return 1
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return 2
		case c.State.Terminated != nil:
			return 3
		}
		return 0
	}
	shown := slices.MinFunc(copies, func(a, b containerStatus) int { return rank(a) - rank(b) })
	if shown.State == nil {
		return nil
	}
	state, err := runtime.DefaultUnstructuredConverter.ToUnstructured(shown.State)
	if err != nil {
		return nil
	}
	return state
}

// terminatedBefore returns the state that the template shows for a container,
// if it is an end. API servers refuse to let a container that must not be
// restarted leave that state.
func terminatedBefore(template *unstructured.Unstructured, field, container string) map[string]any {
	for _, entry := range list(status(template), field) {
		c, ok := entry.(map[string]any)
		if ok && text(c, "name") == container && child(child(c, "state"), "terminated") != nil {
			return child(c, "state")
		}
	}
	return nil
}
