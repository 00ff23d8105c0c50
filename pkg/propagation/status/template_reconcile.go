package status

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

const (
	// retryConflict is the delay after somebody else wrote the template.
	retryConflict = 50 * time.Millisecond
	// retryNotServed is the delay after the kind of the template was not served
	// where it was looked for: it may be on its way to another version.
	retryNotServed = time.Minute
	// recently is the time within which a success is news. It is how long the
	// API server keeps Events: within it, saying it again after a restart
	// writes nothing.
	recently = time.Hour
)

// TemplateReconciler writes what the clusters report into the status of one
// template. Its unit of work is a binding.
type TemplateReconciler struct {
	// Binding gives a binding from the cache, nil when there is none. It is
	// shared and must not be changed.
	Binding func(ctx context.Context, namespace, name string) (workv1alpha2.Binding, error)
	// Template gets the template of a binding; it may be a little old. The error
	// satisfies notServed when its kind is not served where it was looked for.
	Template func(ctx context.Context, key templates.Key) (*unstructured.Unstructured, error)
	// Aggregate is the interpreter's AggregateStatus.
	Aggregate func(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error)
	// WriteStatus writes the difference in status, on the condition that the
	// template is still the one that was read. It does nothing for kinds
	// without a status subresource.
	WriteStatus func(ctx context.Context, key templates.Key, from, to *unstructured.Unstructured) error

	// Sync tells what the clusters did, Aggregated what became of the status.
	Sync, Aggregated events.Recorder

	// Now is time.Now.
	Now func() time.Time
}

// Reconcile looks at one binding.
func (r *TemplateReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	b, err := r.Binding(ctx, req.Namespace, req.Name)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading binding %s: %w", req, err)
	}
	if b == nil || !b.GetDeletionTimestamp().IsZero() || !reported(b) {
		return reconcile.Result{}, nil
	}
	r.tellClusters(ctx, b)

	key := templates.KeyOfBinding(b)
	template, err := r.Template(ctx, key)
	switch {
	case notServed(err):
		// The binding stays, and so do the reports: agents do not repeat them.
		return reconcile.Result{RequeueAfter: retryNotServed}, nil
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil // the binding will go too
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading template %s: %w", key, err)
	}
	if template.GetUID() != b.GetSpec().Resource.UID || template.GetDeletionTimestamp() != nil {
		// The reports are about a former incarnation. The binding will follow
		// the template, and that is an event.
		return reconcile.Result{}, nil
	}
	return r.aggregate(ctx, key, b, template)
}

func (r *TemplateReconciler) aggregate(ctx context.Context, key templates.Key, b workv1alpha2.Binding, template *unstructured.Unstructured) (reconcile.Result, error) {
	after := template.DeepCopy()
	changed, problem := r.Aggregate(after, itemsOf(b))
	if problem != nil {
		// What could be read has been merged and is worth writing.
		r.Aggregated.Event(ctx, r.refTo(b), corev1.EventTypeWarning, names.EventAggregateStatusFailed, problem.Error())
	}
	if changed {
		err := r.WriteStatus(ctx, key, template, after)
		switch {
		case apierrors.IsConflict(err):
			return reconcile.Result{RequeueAfter: retryConflict}, nil
		case notServed(err):
			return reconcile.Result{RequeueAfter: retryNotServed}, nil
		case apierrors.IsNotFound(err):
			return reconcile.Result{}, nil
		case err != nil:
			r.Aggregated.Event(ctx, r.refTo(b), corev1.EventTypeWarning, names.EventAggregateStatusFailed, err.Error())
			return reconcile.Result{}, fmt.Errorf("writing the status of template %s: %w", key, err)
		}
		klog.FromContext(ctx).V(3).Info("Template status written", "template", key)
	}
	if at, ok := fullyApplied(b); ok && problem == nil && r.Now().Sub(at) < recently {
		r.Aggregated.Event(ctx, r.refTo(b), corev1.EventTypeNormal, names.EventAggregateStatusSucceed,
			fmt.Sprintf("status collected from clusters %s", strings.Join(clusterNames(b), ", ")))
	}
	return reconcile.Result{}, nil
}

// tellClusters says, folded into one event each, that all clusters have applied
// the template, or which have not and why.
func (r *TemplateReconciler) tellClusters(ctx context.Context, b workv1alpha2.Binding) {
	var failed []string
	for _, item := range b.GetStatus().AggregatedStatus {
		// No message means that nothing is known yet, which is no failure.
		if !item.Applied && item.AppliedMessage != "" {
			failed = append(failed, fmt.Sprintf("cluster %s: %s", item.ClusterName, item.AppliedMessage))
		}
	}
	if len(failed) > 0 {
		slices.Sort(failed)
		r.Sync.Event(ctx, r.refTo(b), corev1.EventTypeWarning, names.EventSyncFailed, strings.Join(failed, "; "))
		return
	}
	if at, ok := fullyApplied(b); ok && r.Now().Sub(at) < recently {
		r.Sync.Event(ctx, r.refTo(b), corev1.EventTypeNormal, names.EventSyncSucceed,
			fmt.Sprintf("applied to clusters %s", strings.Join(clusterNames(b), ", ")))
	}
}

func (r *TemplateReconciler) refTo(b workv1alpha2.Binding) corev1.ObjectReference {
	ref := &b.GetSpec().Resource
	return corev1.ObjectReference{
		APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID,
	}
}

// reported tells whether anything about the clusters is known. Before that the
// template's status is left alone.
func reported(b workv1alpha2.Binding) bool {
	status := b.GetStatus()
	return len(status.AggregatedStatus) > 0 ||
		meta.FindStatusCondition(status.Conditions, workv1alpha2.FullyApplied) != nil
}

// fullyApplied tells since when all chosen clusters have applied the template.
func fullyApplied(b workv1alpha2.Binding) (since time.Time, ok bool) {
	c := meta.FindStatusCondition(b.GetStatus().Conditions, workv1alpha2.FullyApplied)
	if c == nil || c.Status != metav1.ConditionTrue || len(b.GetSpec().Clusters) == 0 {
		return time.Time{}, false
	}
	return c.LastTransitionTime.Time, true
}

// itemsOf gives the reports, with an empty one for each chosen cluster that has
// not reported: only so can it be told whether all have.
func itemsOf(b workv1alpha2.Binding) []workv1alpha2.AggregatedStatusItem {
	items := slices.Clone(b.GetStatus().AggregatedStatus)
	for _, c := range b.GetSpec().Clusters {
		if !slices.ContainsFunc(items, func(i workv1alpha2.AggregatedStatusItem) bool { return i.ClusterName == c.Name }) {
			items = append(items, workv1alpha2.AggregatedStatusItem{ClusterName: c.Name})
		}
	}
	slices.SortFunc(items, func(a, b workv1alpha2.AggregatedStatusItem) int {
		return strings.Compare(a.ClusterName, b.ClusterName)
	})
	return items
}

func clusterNames(b workv1alpha2.Binding) []string {
	out := make([]string, 0, len(b.GetSpec().Clusters))
	for _, c := range b.GetSpec().Clusters {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}
