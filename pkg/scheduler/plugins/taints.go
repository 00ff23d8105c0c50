package plugins

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// TaintToleration keeps templates off clusters with a taint of effect NoSchedule
// or NoExecute that the placement does not tolerate. It has no say about a cluster
// that holds the template already: driving out what runs there, in its time
// (tolerationSeconds), is eviction, which is decided elsewhere.
type TaintToleration struct{}

// Name implements framework.Filter.
func (TaintToleration) Name() string { return "TaintToleration" }

// Check implements framework.Filter.
func (TaintToleration) Check(request *framework.Request, cluster *snapshot.Cluster) (string, error) {
	if request.Holds(cluster.Name()) {
		return "", nil
	}
	for i := range cluster.Object.Spec.Taints {
		taint := &cluster.Object.Spec.Taints[i]
		if taint.Effect != corev1.TaintEffectNoSchedule && taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		if !tolerated(request.Spec.Placement.ClusterTolerations, taint) {
			return "taint " + describe(taint) + " is not tolerated", nil
		}
	}
	return "", nil
}

// tolerated follows the rules for the tolerations of pods. For how long a taint
// is tolerated is no matter of placing.
func tolerated(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	for i := range tolerations {
		t := &tolerations[i]
		if t.Effect != "" && t.Effect != taint.Effect {
			continue
		}
		if t.Key != "" && t.Key != taint.Key {
			continue
		}
		switch t.Operator {
		case corev1.TolerationOpExists:
			return true
		case "", corev1.TolerationOpEqual:
			if t.Value == taint.Value {
				return true
			}
		}
	}
	return false
}

func describe(taint *corev1.Taint) string {
	if taint.Value == "" {
		return taint.Key
	}
	return taint.Key + "=" + taint.Value
}
