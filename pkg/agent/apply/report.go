package apply

import (
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

const (
	healthHealthy   = string(workv1alpha1.ResourceHealthy)
	healthUnhealthy = string(workv1alpha1.ResourceUnhealthy)
	healthUnknown   = string(workv1alpha1.ResourceUnknown)
)

// transientAttempts is how often a failure that says nothing about the manifest may happen in a row
// before it is reported.
const transientAttempts = 4

// Observation is what became of a work.
type Observation struct {
	// Work and UID of the Work object it is about.
	Work string
	UID  types.UID
	// Gone observations withdraw what was observed of a work before.
	Gone bool
	// Applied is true when the member holds every manifest.
	Applied         bool
	Reason, Message string
	// Status is reflected from the live object; works with several manifests have none.
	Status *runtime.RawExtension
	// Health is the worst of the objects'.
	Health string
}

// report tells what became of a work, unless that is not known yet. Called under the lock.
func (e *Engine) report(w *work) {
	if w == nil || w.removed || w.muted {
		return
	}
	if observation, ok := e.observation(w); ok {
		e.opts.Report(observation)
	}
}

func (e *Engine) observation(w *work) (Observation, bool) {
	out := Observation{Work: w.name, UID: w.uid, Applied: true, Reason: ReasonApplied, Health: healthHealthy}
	fail := func(reason, message string) {
		if out.Applied {
			out.Applied, out.Reason, out.Message = false, reason, message
		}
	}
	for _, err := range w.bad {
		fail(ReasonBadManifest, err.Error())
		out.Health = healthUnknown
	}
	for _, wanted := range w.objects {
		o := e.objects[wanted.Key]
		if len(o.claims) > 0 && o.claims[0] != w.name {
			failure := conflictFailure(o.key, e.opts.Cluster, "work "+e.opts.Namespace+"/"+o.claims[0])
			fail(failure.Reason, failure.Message)
			out.Health = worse(out.Health, healthUnknown)
			continue
		}
		switch {
		case o.verdict == nil:
			return out, false // not tried yet
		case o.verdict.failure != nil && o.verdict.failure.Transient && o.failures < transientAttempts:
			return out, false
		case o.verdict.failure != nil:
			fail(o.verdict.failure.Reason, o.verdict.failure.Message)
		case !o.unmanaged && e.unseen(wanted) != nil:
			failure := e.unseen(wanted)
			fail(failure.Reason, failure.Message)
		case !o.unmanaged && o.live == nil:
			return out, false // was applied; the watch has not shown it yet, or it is being repaired
		}
		health := healthUnknown
		if o.unmanaged {
			health = healthHealthy
		}
		if o.live != nil && !errors.Is(o.verdict.err(), ErrConflict) {
			health = o.live.health
			if len(w.objects) == 1 {
				out.Status = o.live.status
			}
		}
		out.Health = worse(out.Health, health)
	}
	return out, true
}

func worse(a, b string) string {
	rank := map[string]int{healthHealthy: 0, healthUnknown: 1, healthUnhealthy: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}
