package work

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/api/work/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// Reporter takes what a cluster observed of its Works.
type Reporter interface {
	Report(ctx context.Context, cluster string, observations []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error)
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
	w, err := r.StatusREST.Get(ctx, name, options)
	return w, absent(err, r.view)
}

// Update implements rest.Updater.
func (r *StatusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	cluster := clusterOf(ctx)
	current, computed := r.view.Get(cluster, name)
	if !computed {
		return r.StatusREST.Update(ctx, name, translate(info, r.view, cluster, name), create, update, force, options)
	}
	if p := info.Preconditions(); p != nil && p.UID != nil && *p.UID != current.UID {
		return nil, false, conflict(name, "it is another Work than the one that was observed, of UID "+string(*p.UID))
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
	if errs := validation.ValidateWorkStatusUpdate(w, current); len(errs) > 0 {
		return nil, false, apierrors.NewInvalid(workv1alpha1.GroupVersion.WithKind(workv1alpha1.ResourceKindWork).GroupKind(), name, errs)
	}
	result := current.DeepCopy()
	result.Status = w.Status
	if options != nil && len(options.DryRun) > 0 {
		return result, false, nil
	}
	observation := agentv1alpha1.WorkObservation{Name: name, UID: current.UID}
	if c := meta.FindStatusCondition(w.Status.Conditions, workv1alpha1.WorkApplied); c != nil {
		observation.Applied = c.Status == metav1.ConditionTrue
		observation.Reason, observation.Message = c.Reason, c.Message
	}
	if len(w.Status.ManifestStatuses) > 0 {
		observation.Status = w.Status.ManifestStatuses[0].Status
		observation.Health = string(w.Status.ManifestStatuses[0].Health)
	}
	rejected, err := r.report.Report(ctx, cluster, []agentv1alpha1.WorkObservation{observation})
	if err == nil && len(rejected) > 0 {
		err = conflict(name, "its status was not taken: "+rejected[0].Reason)
	}
	return result, false, err
}

func conflict(name, why string) error {
	return apierrors.NewConflict(workv1alpha1.Resource("works"), name, fmt.Errorf("%s; read it again", why))
}
