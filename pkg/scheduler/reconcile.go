package scheduler

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/explain"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// conflictDelay is how long a binding waits after somebody else wrote it first.
// The cache has the newer state within that time as a rule.
const conflictDelay = 20 * time.Millisecond

// Recorder records events about templates.
type Recorder interface {
	Event(ctx context.Context, about corev1.ObjectReference, eventType, reason, note string)
}

// reconciler decides about bindings of either scope, one at a time.
type reconciler struct {
	schedulerName string
	// snapshot returns the present state of the clusters.
	snapshot func(ctx context.Context) (*snapshot.Snapshot, error)
	// get returns a binding, read only.
	get func(ctx context.Context, request reconcile.Request) (workv1alpha2.Binding, error)
	// write sends a decision. It fails with a conflict if the binding has changed.
	write    func(ctx context.Context, b workv1alpha2.Binding) error
	recorder Recorder
	now      func() time.Time
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	b, err := r.get(ctx, request)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading binding %s: %w", request, err)
	}
	if !responsible(b, r.schedulerName) {
		return reconcile.Result{}, nil
	}
	snap, err := r.snapshot(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	next, trigger, err := r.decide(b, snap)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("scheduling binding %s: %w", request, err)
	}
	if next == nil {
		return reconcile.Result{}, nil
	}
	switch err := r.write(ctx, next); {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("writing the decision about binding %s: %w", request, err)
	}
	r.report(ctx, b, next, trigger)
	return reconcile.Result{}, nil
}

// responsible reports whether a binding is this scheduler's to decide about.
func responsible(b workv1alpha2.Binding, schedulerName string) bool {
	spec := b.GetSpec()
	wanted := spec.SchedulerName
	if wanted == "" {
		wanted = policyv1alpha1.DefaultSchedulerName
	}
	suspended := spec.Suspension != nil && spec.Suspension.Scheduling != nil && *spec.Suspension.Scheduling
	return spec.Placement != nil && wanted == schedulerName && !suspended && b.GetDeletionTimestamp().IsZero()
}

// decide returns the binding as it should be written, or nil if there is
// nothing to write.
func (r *reconciler) decide(b workv1alpha2.Binding, snap *snapshot.Snapshot) (workv1alpha2.Binding, Trigger, error) {
	if released(b) {
		return withoutGone(b, snap), TriggerClusterGone, nil
	}
	trigger, err := triggerOf(b, snap)
	if err != nil {
		return nil, trigger, err
	}
	spec := b.GetSpec()
	if trigger == NoTrigger {
		diagnosis := explain.Diagnosis{
			Reason:  workv1alpha2.BindingReasonSuccess,
			Unknown: unknownClusters(snap, spec.Placement),
		}
		return outcome{clusters: spec.Clusters, affinity: b.GetStatus().SchedulerObservingAffinityName, diagnosis: diagnosis}.
			applyTo(b, ""), trigger, nil
	}
	question := Question{Spec: spec, Template: spec.Resource.UID}
	placement, err := placementText(spec.Placement)
	if err != nil {
		return nil, trigger, err
	}
	changed, err := placementChanged(b)
	if err != nil {
		return nil, trigger, err
	}
	if !changed && !rebalanceRequested(b) {
		question.Affinity = b.GetStatus().SchedulerObservingAffinityName
		placement = "" // what is recorded is the same, if not letter by letter
	}
	decision, diagnosis := Schedule(snap, question)
	if !decision.Made() {
		return outcome{
			clusters:  slices.DeleteFunc(slices.Clone(spec.Clusters), func(c workv1alpha2.TargetCluster) bool { return gone(snap, c.Name) }),
			affinity:  b.GetStatus().SchedulerObservingAffinityName,
			diagnosis: diagnosis,
		}.applyTo(b, ""), trigger, nil
	}
	return outcome{
		clusters:  decision.Clusters,
		affinity:  decision.Affinity,
		diagnosis: diagnosis,
		at:        metav1.NewTime(r.now()).Rfc3339Copy(),
	}.applyTo(b, placement), trigger, nil
}

// outcome is what a decision, or the failure to make one, comes to.
type outcome struct {
	clusters  []workv1alpha2.TargetCluster
	affinity  string
	diagnosis explain.Diagnosis
	at        metav1.Time // zero: keep the time of the last decision
}

// applyTo returns a copy of the binding with the outcome in it, or nil if the
// binding says all of it already. A placement to record is always written: it is
// the mark that a change of the placement, or a request to rebalance, is settled.
func (o outcome) applyTo(b workv1alpha2.Binding, placement string) workv1alpha2.Binding {
	condition := metav1.Condition{
		Type:    workv1alpha2.Scheduled,
		Status:  metav1.ConditionFalse,
		Reason:  o.diagnosis.Reason,
		Message: o.diagnosis.Message(),
	}
	if o.diagnosis.Reason == workv1alpha2.BindingReasonSuccess {
		condition.Status = metav1.ConditionTrue
	} else if len(o.clusters) > 0 {
		condition.Message += " Until then it stays on " + explain.Result(o.clusters) + "."
	}
	if placement == "" &&
		b.GetStatus().SchedulerObservingAffinityName == o.affinity &&
		sameClusters(b.GetSpec().Clusters, o.clusters) &&
		sameCondition(meta.FindStatusCondition(b.GetStatus().Conditions, workv1alpha2.Scheduled), condition) {
		return nil
	}
	next := b.DeepCopyObject().(workv1alpha2.Binding)
	next.GetSpec().Clusters = o.clusters
	status := next.GetStatus()
	status.SchedulerObservingAffinityName = o.affinity
	meta.SetStatusCondition(&status.Conditions, condition)
	if placement != "" {
		annotations := next.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[names.AppliedPlacementAnnotation] = placement
		next.SetAnnotations(annotations)
	}
	if !o.at.IsZero() {
		status.LastScheduledTime = o.at.DeepCopy()
		// A request with the time of a clock ahead of ours is settled as well.
		if requested := next.GetSpec().RescheduleTriggeredAt; requested != nil && requested.After(o.at.Time) {
			status.LastScheduledTime = requested.DeepCopy()
		}
	}
	return next
}

func sameCondition(was *metav1.Condition, is metav1.Condition) bool {
	return was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message
}

// sameClusters compares two results, whatever their order.
func sameClusters(a, b []workv1alpha2.TargetCluster) bool {
	if len(a) != len(b) {
		return false
	}
	byName := make(map[string]*workv1alpha2.TargetCluster, len(a))
	for i := range a {
		byName[a[i].Name] = &a[i]
	}
	for i := range b {
		if was, ok := byName[b[i].Name]; !ok || !equality.Semantic.DeepEqual(*was, b[i]) {
			return false
		}
	}
	return true
}

// report tells the template what was decided, if it is news.
func (r *reconciler) report(ctx context.Context, was, is workv1alpha2.Binding, trigger Trigger) {
	spec := is.GetSpec()
	logger := log.FromContext(ctx).WithValues("trigger", trigger, "template", spec.Resource.Kind+"/"+spec.Resource.Name)
	template := corev1.ObjectReference{
		APIVersion: spec.Resource.APIVersion,
		Kind:       spec.Resource.Kind,
		Namespace:  spec.Resource.Namespace,
		Name:       spec.Resource.Name,
		UID:        spec.Resource.UID,
	}
	if released(was) {
		logger.Info("Clusters that are gone were taken out of a binding that no policy claims", "clusters", len(spec.Clusters))
		return
	}
	if !scheduled(is) {
		condition := meta.FindStatusCondition(is.GetStatus().Conditions, workv1alpha2.Scheduled)
		logger.Info("No clusters could be chosen", "reason", condition.Reason)
		r.recorder.Event(ctx, template, corev1.EventTypeWarning, names.EventScheduleBindingFailed, condition.Message)
		return
	}
	if scheduled(was) && sameClusters(was.GetSpec().Clusters, spec.Clusters) {
		return
	}
	logger.V(1).Info("Clusters chosen", "clusters", len(spec.Clusters))
	r.recorder.Event(ctx, template, corev1.EventTypeNormal, names.EventScheduleBindingSucceed,
		"Clusters were chosen: "+explain.Result(spec.Clusters)+".")
}
