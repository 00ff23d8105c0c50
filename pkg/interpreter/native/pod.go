package native

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// pod cannot be divided: every cluster it is placed in runs it.
var pod = Kind{
	ReflectStatus:   reflectPod,
	Health:          podHealth,
	AggregateStatus: aggregatePod,
	Prune:           prunePod,
}

var podConditions = []conditionRule{
	{kind: "PodScheduled", good: conditionTrue},
	{kind: "Initialized", good: conditionTrue},
	{kind: "ContainersReady", good: conditionTrue},
	{kind: "Ready", good: conditionTrue},
}

// podStatus leaves out addresses and nodes, which mean nothing outside the
// member.
type podStatus struct {
	Phase                 string            `json:"phase,omitempty"`
	Reason                string            `json:"reason,omitempty"`
	Message               string            `json:"message,omitempty"`
	StartTime             string            `json:"startTime,omitempty"`
	Conditions            []condition       `json:"conditions,omitempty"`
	InitContainerStatuses []containerStatus `json:"initContainerStatuses,omitempty"`
	ContainerStatuses     []containerStatus `json:"containerStatuses,omitempty"`
}

type containerStatus struct {
	Name         string                 `json:"name"`
	Image        string                 `json:"image,omitempty"`
	ImageID      string                 `json:"imageID,omitempty"`
	Ready        bool                   `json:"ready,omitempty"`
	Started      bool                   `json:"started,omitempty"`
	RestartCount int64                  `json:"restartCount,omitempty"`
	State        *corev1.ContainerState `json:"state,omitempty"`
}

func reflectPod(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	s := status(obj)
	return encode(podStatus{
		Phase:                 text(s, "phase"),
		Reason:                text(s, "reason"),
		Message:               text(s, "message"),
		StartTime:             text(s, "startTime"),
		Conditions:            reportConditions(s, podConditions),
		InitContainerStatuses: readContainers(s, "initContainerStatuses"),
		ContainerStatuses:     readContainers(s, "containerStatuses"),
	})
}

func readContainers(status map[string]any, field string) []containerStatus {
	entries := list(status, field)
	if len(entries) == 0 {
		return nil
	}
	containers := make([]containerStatus, 0, len(entries))
	for _, entry := range entries {
		c, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		ready, _ := c["ready"].(bool)
		started, _ := c["started"].(bool)
		containers = append(containers, containerStatus{
			Name:         text(c, "name"),
			Image:        text(c, "image"),
			ImageID:      text(c, "imageID"),
			Ready:        ready,
			Started:      started,
			RestartCount: integer(c, "restartCount"),
			State:        readState(child(c, "state")),
		})
	}
	return containers
}

// readState returns nil for a state that is not one: the rest of the status is
// still worth having.
func readState(raw map[string]any) *corev1.ContainerState {
	if len(raw) == 0 {
		return nil
	}
	var state corev1.ContainerState
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &state); err != nil {
		return nil
	}
	return &state
}

// podHealth: done, or running and ready.
func podHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	s := status(obj)
	switch corev1.PodPhase(text(s, "phase")) {
	case corev1.PodSucceeded:
		return workv1alpha2.ResourceHealthy, nil
	case corev1.PodRunning:
		return healthyIf(isTrue(s, "Ready")), nil
	}
	return workv1alpha2.ResourceUnhealthy, nil
}

// serviceAccountVolume starts the name of the volume that admission mounts
// into pods, to hold a token of the cluster they were created in.
const serviceAccountVolume = "kube-api-access-"

// prunePod takes off what scheduling and admission here put on: the node, the
// priority that a class stood for, the token's volume and the tolerations that
// every pod gets. The member's admission puts its own there.
func prunePod(obj *unstructured.Unstructured) {
	s := spec(obj)
	if s == nil {
		return
	}
	delete(s, "nodeName")
	delete(s, "priority")
	delete(s, "preemptionPolicy")
	retain(s, "volumes", func(volume map[string]any) bool {
		return !strings.HasPrefix(text(volume, "name"), serviceAccountVolume)
	})
	for _, field := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, entry := range list(s, field) {
			if container, ok := entry.(map[string]any); ok {
				retain(container, "volumeMounts", func(mount map[string]any) bool {
					return !strings.HasPrefix(text(mount, "name"), serviceAccountVolume)
				})
			}
		}
	}
	retain(s, "tolerations", func(toleration map[string]any) bool { return !defaultToleration(toleration) })
	delete(s, "ephemeralContainers") // They can only be added to a pod that runs.
}

// defaultToleration recognizes what the DefaultTolerationSeconds admission
// plugin adds.
func defaultToleration(t map[string]any) bool {
	key := text(t, "key")
	return (key == corev1.TaintNodeNotReady || key == corev1.TaintNodeUnreachable) &&
		text(t, "operator") == string(corev1.TolerationOpExists) &&
		text(t, "effect") == string(corev1.TaintEffectNoExecute) &&
		integer(t, "tolerationSeconds") == 300
}

// retain keeps the entries of a list that satisfy keep, and drops the list if
// that leaves none. Entries that are not maps stay.
func retain(m map[string]any, field string, keep func(map[string]any) bool) {
	entries := list(m, field)
	kept := make([]any, 0, len(entries))
	for _, entry := range entries {
		if e, ok := entry.(map[string]any); !ok || keep(e) {
			kept = append(kept, entry)
		}
	}
	switch len(kept) {
	case len(entries):
	case 0:
		delete(m, field)
	default:
		m[field] = kept
	}
}
