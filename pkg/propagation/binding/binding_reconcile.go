package binding

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

const (
	// cacheLag is how long to wait for the watch to deliver what was written.
	cacheLag = 200 * time.Millisecond
	// retryTaken is the delay until the next look at a binding name that another
	// template has taken.
	retryTaken = time.Minute
	// retryNotServed is the delay until the next look at a kind that is not
	// served. Its templates' own events come first.
	retryNotServed = 5 * time.Minute
)

// Reconciler makes the binding of one template what it should be.
type Reconciler struct {
	// Mapping tells in which version a kind is served.
	Mapping func(gk schema.GroupKind) (*meta.RESTMapping, error)
	// Template gives a template that was ever claimed; NotFound only when the
	// API server says so.
	Template func(ctx context.Context, key templates.Key) (*templates.Metadata, error)
	// Binding gives a binding from the cache, nil when there is none. It is
	// shared and must not be changed.
	Binding func(ctx context.Context, key templates.Key) (workv1alpha2.Binding, error)
	// Policy gives the policy a claim names from the cache, nil when there is
	// none.
	Policy func(ctx context.Context, c claim.Claim) (policyv1alpha1.Policy, error)
	// Replicas reads the replicas of a template.
	Replicas func(ctx context.Context, key templates.Key, m *templates.Metadata) (Replicas, error)
	// Mark identifies the state of a template, metadata and status left aside.
	Mark func(ctx context.Context, key templates.Key, m *templates.Metadata) (string, error)
	// PriorityOf gives the value of a PriorityClass.
	PriorityOf func(ctx context.Context, class string) (int32, error)

	Create func(ctx context.Context, b workv1alpha2.Binding) error
	// Patch writes the difference, on the condition that the binding is still
	// the one that was read.
	Patch func(ctx context.Context, from, to workv1alpha2.Binding) error
	// Delete deletes the binding of that UID.
	Delete func(ctx context.Context, b workv1alpha2.Binding) error

	Recorder events.Recorder
}

// Reconcile looks at one template.
func (r *Reconciler) Reconcile(ctx context.Context, key templates.Key) (reconcile.Result, error) {
	b, err := r.Binding(ctx, key)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the binding of template %s: %w", key, err)
	}
	m, err := r.Template(ctx, key)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, r.templateGone(ctx, key, b)
	case meta.IsNoMatchError(err):
		// Maybe the API server is still reading its CRDs. To delete anything
		// now would be rash; without its template the binding serves nothing.
		return reconcile.Result{RequeueAfter: retryNotServed}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	if !m.GetDeletionTimestamp().IsZero() {
		return reconcile.Result{}, nil // its end is an event of its own
	}
	c, claimed := claim.On(m)
	mine := b != nil && templates.KeyOfBinding(b) == key
	switch {
	case !claimed && mine:
		return r.release(ctx, b)
	case !claimed:
		return reconcile.Result{}, nil
	case b != nil && !mine:
		r.warn(ctx, key, m, names.EventApplyPolicyFailed, fmt.Sprintf(
			"binding %s already belongs to %s, whose name and kind look the same; rename one of the two",
			describe(b), templates.KeyOfBinding(b)))
		return reconcile.Result{RequeueAfter: retryTaken}, nil
	case b != nil && !b.GetDeletionTimestamp().IsZero():
		return reconcile.Result{}, nil // its end is an event too; then it is made anew
	}
	return r.bind(ctx, key, m, c, b)
}

func (r *Reconciler) bind(ctx context.Context, key templates.Key, m *templates.Metadata, c claim.Claim, b workv1alpha2.Binding) (reconcile.Result, error) {
	policy, err := r.Policy(ctx, c)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading %s, which claims template %s: %w", c, key, err)
	}
	if policy == nil || !c.HeldBy(policy) {
		// Either the cache does not have it yet, and its coming is an event,
		// or it is gone, and the claim soon will be.
		return reconcile.Result{}, nil
	}
	d, err := r.desired(ctx, key, m, c, policy)
	if err != nil {
		return reconcile.Result{}, err
	}
	if b == nil {
		return r.create(ctx, key, d)
	}
	changed := b.DeepCopyObject().(workv1alpha2.Binding)
	d.apply(changed)
	res, err := r.write(ctx, b, changed)
	if previous, ok := claim.On(b); err == nil && res.RequeueAfter == 0 && (!ok || previous != c) {
		r.claimed(ctx, d)
	}
	return res, err
}

func (r *Reconciler) desired(ctx context.Context, key templates.Key, m *templates.Metadata, c claim.Claim, policy policyv1alpha1.Policy) (*desired, error) {
	mapping, err := r.Mapping(key.GroupKind)
	if err != nil {
		return nil, err
	}
	d := &desired{gvk: mapping.GroupVersionKind, template: m, claim: c, policy: policy}
	if d.replicas, err = r.Replicas(ctx, key, m); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, err // gone meanwhile; its deletion comes as an event
		}
		r.warn(ctx, key, m, names.EventGetReplicasFailed, err.Error())
		return nil, err
	}
	if p := policy.GetSpec().SchedulePriority; p != nil {
		value, err := r.PriorityOf(ctx, p.PriorityClassName)
		if err != nil {
			err = fmt.Errorf("%s: spec.schedulePriority.priorityClassName: %w", c, err)
			r.warn(ctx, key, m, names.EventApplyPolicyFailed, err.Error())
			return nil, err
		}
		d.priority = &workv1alpha2.SchedulePriority{Priority: value}
	}
	if policy.GetSpec().ActivationPreference == policyv1alpha1.LazyActivation {
		if d.lazyMark, err = r.Mark(ctx, key, m); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (r *Reconciler) create(ctx context.Context, key templates.Key, d *desired) (reconcile.Result, error) {
	b := d.create(key)
	err := r.Create(ctx, b)
	switch {
	case apierrors.IsAlreadyExists(err):
		return reconcile.Result{RequeueAfter: cacheLag}, nil
	case apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{}, nil // the namespace goes, and the template with it
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("creating binding %s: %w", describe(b), err)
	}
	klog.FromContext(ctx).V(3).Info("Binding created", "binding", klog.KObj(b), "template", key, "policy", d.claim)
	r.claimed(ctx, d)
	return reconcile.Result{}, nil
}

// release takes the claim from a binding and leaves everything else.
func (r *Reconciler) release(ctx context.Context, b workv1alpha2.Binding) (reconcile.Result, error) {
	if !claim.HasMarks(b) {
		return reconcile.Result{}, nil
	}
	changed := b.DeepCopyObject().(workv1alpha2.Binding)
	claim.Release(changed)
	return r.write(ctx, b, changed)
}

func (r *Reconciler) write(ctx context.Context, from, to workv1alpha2.Binding) (reconcile.Result, error) {
	if apiequality.Semantic.DeepEqual(from, to) {
		return reconcile.Result{}, nil
	}
	err := r.Patch(ctx, from, to)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return reconcile.Result{RequeueAfter: cacheLag}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("updating binding %s: %w", describe(to), err)
	}
	klog.FromContext(ctx).V(3).Info("Binding updated", "binding", klog.KObj(to))
	return reconcile.Result{}, nil
}

func (r *Reconciler) templateGone(ctx context.Context, key templates.Key, b workv1alpha2.Binding) error {
	if b == nil || templates.KeyOfBinding(b) != key || !b.GetDeletionTimestamp().IsZero() {
		return nil
	}
	if err := r.Delete(ctx, b); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting binding %s, whose template is gone: %w", describe(b), err)
	}
	klog.FromContext(ctx).V(3).Info("Binding deleted, its template is gone", "binding", klog.KObj(b), "template", key)
	return nil
}

func (r *Reconciler) claimed(ctx context.Context, d *desired) {
	r.Recorder.Event(ctx, events.RefTo(d.gvk, d.template), corev1.EventTypeNormal, names.EventApplyPolicySucceed,
		fmt.Sprintf("%s decides where this goes", d.claim))
}

func (r *Reconciler) warn(ctx context.Context, key templates.Key, m *templates.Metadata, reason, note string) {
	gvk := key.WithVersion("")
	if mapping, err := r.Mapping(key.GroupKind); err == nil {
		gvk = mapping.GroupVersionKind
	}
	r.Recorder.Event(ctx, events.RefTo(gvk, m), corev1.EventTypeWarning, reason, note)
}

func describe(b workv1alpha2.Binding) string {
	if b.GetNamespace() == "" {
		return b.GetName()
	}
	return b.GetNamespace() + "/" + b.GetName()
}
