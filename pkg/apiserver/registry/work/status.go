package work

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// Reporter takes what a cluster observed of its Works.
type Reporter interface {
	Report(ctx context.Context, cluster string, observations []agentv1alpha1.WorkObservation) []agentv1alpha1.RejectedObservation
}

// StatusREST serves works/status: of stored Works as usual, of computed ones by
// way of their bindings.
type StatusREST struct {
	*registry.StatusREST
	view   View
	report Reporter
}

// Get implements rest.Getter.
func (r *StatusREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	if w, ok := r.view.Get(clusterOf(ctx), name); ok {
		return w, nil
	}
	return r.StatusREST.Get(ctx, name, options)
}

// Update implements rest.Updater.
func (r *StatusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	cluster := clusterOf(ctx)
	current, computed := r.view.Get(cluster, name)
	if !computed {
		return r.StatusREST.Update(ctx, name, translate(info, r.view, cluster, name), create, update, force, options)
	}
	obj, err := info.UpdatedObject(ctx, current)
	if err != nil {
		return nil, false, err
	}
	if update != nil {
		if err := update(ctx, obj, current); err != nil {
			return nil, false, err
		}
	}
	w := work(obj)
	observation := agentv1alpha1.WorkObservation{Name: name, UID: current.UID}
	if c := meta.FindStatusCondition(w.Status.Conditions, workv1alpha1.WorkApplied); c != nil {
		observation.Applied = c.Status == metav1.ConditionTrue
		observation.Reason, observation.Message = c.Reason, c.Message
	}
	if len(w.Status.ManifestStatuses) > 0 {
		observation.Status = w.Status.ManifestStatuses[0].Status
		observation.Health = string(w.Status.ManifestStatuses[0].Health)
	}
	r.report.Report(ctx, cluster, []agentv1alpha1.WorkObservation{observation})
	result := current.DeepCopy()
	result.Status = w.Status
	return result, false, nil
}
