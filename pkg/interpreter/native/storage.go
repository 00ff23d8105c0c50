package native

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var volumeClaim = Kind{
	ReflectStatus: reflectStorage,
	Health: func(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
		return healthyIf(text(status(obj), "phase") == string(corev1.ClaimBound)), nil
	},
	AggregateStatus: aggregateVolumeClaim,
	Prune:           pruneVolumeClaim,
}

var volume = Kind{
	ReflectStatus:   reflectStorage,
	Health:          volumeHealth,
	AggregateStatus: aggregateVolume,
	Prune:           pruneVolume,
}

// storageStatus is what is reported of claims and volumes.
type storageStatus struct {
	Phase       string              `json:"phase,omitempty"`
	Capacity    corev1.ResourceList `json:"capacity,omitempty"`
	AccessModes []string            `json:"accessModes,omitempty"`
	Reason      string              `json:"reason,omitempty"`
	Message     string              `json:"message,omitempty"`
}

func reflectStorage(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	s := status(obj)
	report := map[string]any{}
	for _, field := range []string{"phase", "capacity", "accessModes", "reason", "message"} {
		if value := s[field]; !blank(value) {
			report[field] = value
		}
	}
	if len(report) == 0 {
		return nil, nil
	}
	return encode(report)
}

// claimPhases and volumePhases rank phases, the one that most needs attention
// first: the template shows the first that any cluster is in.
var (
	claimPhases  = []string{string(corev1.ClaimLost), string(corev1.ClaimPending), string(corev1.ClaimBound)}
	volumePhases = []string{
		string(corev1.VolumeFailed), string(corev1.VolumePending), string(corev1.VolumeReleased),
		string(corev1.VolumeAvailable), string(corev1.VolumeBound),
	}
)

// worstPhase returns the phase to show and the first cluster that is in it. A
// cluster that has not reported, or has no phase that is known, is pending.
func worstPhase(members []member[storageStatus], ranks []string, pending string) (string, *member[storageStatus]) {
	best, worst := len(ranks), (*member[storageStatus])(nil)
	for i := range members {
		rank := slices.Index(ranks, members[i].status.Phase)
		if rank < 0 {
			rank = slices.Index(ranks, pending)
		}
		if rank < best {
			best, worst = rank, &members[i]
		}
	}
	return ranks[best], worst
}

// aggregateVolumeClaim shows the phase that most needs attention, the capacity
// that a pod finds in any cluster (the smallest), and the access modes that
// all of them give. A claim that no cluster has keeps its status.
func aggregateVolumeClaim(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	members, err := decode[storageStatus](items)
	if len(members) == 0 {
		return false, err
	}
	phase, _ := worstPhase(members, claimPhases, string(corev1.ClaimPending))
	return setStatus(template, map[string]any{
		"phase":       phase,
		"capacity":    leastCapacity(members),
		"accessModes": sharedModes(members),
	}), err
}

func leastCapacity(members []member[storageStatus]) map[string]any {
	least := corev1.ResourceList{}
	for i := range members {
		for name, quantity := range members[i].status.Capacity {
			if held, ok := least[name]; !ok || quantity.Cmp(held) < 0 {
				least[name] = quantity
			}
		}
	}
	capacity := make(map[string]any, len(least))
	for name, quantity := range least {
		capacity[string(name)] = quantity.String()
	}
	return capacity
}

func sharedModes(members []member[storageStatus]) []any {
	modes := []any{}
	first := slices.IndexFunc(members, func(m member[storageStatus]) bool { return len(m.status.AccessModes) > 0 })
	if first < 0 {
		return modes
	}
	for _, mode := range members[first].status.AccessModes {
		shared := true
		for _, m := range members {
			if len(m.status.AccessModes) > 0 && !slices.Contains(m.status.AccessModes, mode) {
				shared = false
			}
		}
		if shared {
			modes = append(modes, mode)
		}
	}
	return modes
}

// aggregateVolume shows the phase that most needs attention, and why, naming
// the first cluster that is in it. A volume that no cluster has keeps its
// status.
func aggregateVolume(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	members, err := decode[storageStatus](items)
	if len(members) == 0 {
		return false, err
	}
	phase, worst := worstPhase(members, volumePhases, string(corev1.VolumePending))
	fields := map[string]any{"phase": phase, "reason": worst.status.Reason, "message": ""}
	if worst.status.Message != "" {
		fields["message"] = worst.cluster + ": " + shorten(worst.status.Message)
	}
	return setStatus(template, fields), err
}

// volumeHealth: a volume is bound or may be. What becomes of a released one is
// for its reclaim policy to say.
func volumeHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	switch corev1.PersistentVolumePhase(text(status(obj), "phase")) {
	case corev1.VolumeBound, corev1.VolumeAvailable:
		return workv1alpha2.ResourceHealthy, nil
	case corev1.VolumeFailed:
		return workv1alpha2.ResourceUnhealthy, nil
	}
	return workv1alpha2.ResourceUnknown, nil
}

const (
	volumeAnnotations = "pv.kubernetes.io/"
	boundByController = volumeAnnotations + "bound-by-controller"
)

// pruneVolumeClaim takes off what binding left: the volume, if it was a
// controller that chose it rather than the user, and the notes that
// controllers made.
func pruneVolumeClaim(obj *unstructured.Unstructured) {
	if annotation(obj, boundByController) != "" {
		if s := spec(obj); s != nil {
			delete(s, "volumeName")
		}
	}
	dropMetadata(obj, "annotations",
		"volume.kubernetes.io/selected-node",
		"volume.kubernetes.io/storage-provisioner",
		"volume.beta.kubernetes.io/storage-provisioner")
	notes := child(child(obj.Object, "metadata"), "annotations")
	for key := range notes {
		if strings.HasPrefix(key, volumeAnnotations) {
			dropMetadata(obj, "annotations", key)
		}
	}
}

// pruneVolume keeps which claim the volume is for, but not the identity that
// claim has here.
func pruneVolume(obj *unstructured.Unstructured) {
	if s := spec(obj); s != nil {
		drop(s, "claimRef", "uid", "resourceVersion")
	}
	dropMetadata(obj, "annotations", boundByController)
}
