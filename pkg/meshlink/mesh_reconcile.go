package meshlink

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

const (
	// retryConflict is the delay after somebody else wrote an object.
	retryConflict = 50 * time.Millisecond
	// retryBehind is the delay while a cache has not caught up.
	retryBehind = 20 * time.Millisecond
	// retryToken is the delay after a token could not be read that is said to be
	// there.
	retryToken = 5 * time.Second
)

// reasonWriteFailed is the reason of Ready when something could not be written.
const reasonWriteFailed = "WriteFailed"

// errNotYet means that what is needed for a picture has not been read yet.
var errNotYet = errors.New("the caches are not filled yet")

// Reconciler makes one Mesh what it should be.
type Reconciler struct {
	// Mesh gives a Mesh, nil when there is none. It is not changed.
	Mesh func(ctx context.Context, name string) (*meshv1alpha1.Mesh, error)
	// Picture reads all that a plan follows from; errNotYet when that takes longer.
	Picture func(ctx context.Context, mesh *meshv1alpha1.Mesh) (*plan.Picture, error)
	// Write makes one write.
	Write func(ctx context.Context, w plan.Write) error
	// WriteStatus writes the status, on the condition that the Mesh is still the one
	// that was read.
	WriteStatus func(ctx context.Context, mesh *meshv1alpha1.Mesh, status meshv1alpha1.MeshStatus) (*meshv1alpha1.Mesh, error)
	// Forget is told of Meshes that are no more.
	Forget func(mesh string)
	// Recorder records events.
	Recorder events.Recorder
	Clock    clock.PassiveClock

	journal journal
}

// Reconcile looks at one Mesh.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	mesh, err := r.Mesh(ctx, req.Name)
	switch {
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading mesh %s: %w", req.Name, err)
	case mesh == nil:
		r.Forget(req.Name)
		return reconcile.Result{}, nil
	}
	again, err := r.look(ctx, mesh)
	switch {
	case errors.Is(err, errNotYet):
		return reconcile.Result{RequeueAfter: retryBehind}, nil
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: retryConflict}, nil
	case err != nil:
		return reconcile.Result{}, errors.Join(fmt.Errorf("mesh %s: %w", mesh.Name, err), r.confess(ctx, mesh.Name, err))
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// look makes a plan and carries it out. It gives when to look again; zero when only
// news matter.
func (r *Reconciler) look(ctx context.Context, mesh *meshv1alpha1.Mesh) (time.Duration, error) {
	picture, err := r.Picture(ctx, mesh)
	if err != nil {
		return 0, err
	}
	if r.journal.ahead(picture, r.Clock.Now()) {
		return 0, errNotYet
	}
	next, err := plan.Make(picture, r.Clock.Now())
	if err != nil {
		return 0, err
	}
	for _, w := range next.Writes {
		if err := r.write(ctx, mesh.Name, w); err != nil {
			return 0, err
		}
		if w.Object.GetName() == mesh.Name {
			if written, ok := w.Object.(*meshv1alpha1.Mesh); ok {
				mesh = written
			}
		}
	}
	if next.Gone {
		return 0, nil
	}
	if err := r.writeStatus(ctx, mesh, next); err != nil {
		return 0, err
	}
	return r.until(picture, next), nil
}

func (r *Reconciler) write(ctx context.Context, mesh string, w plan.Write) error {
	if err := r.Write(ctx, w); err != nil {
		return fmt.Errorf("%s of %T %s: %w", w.Verb, w.Object, nameOf(w.Object), err)
	}
	r.journal.note(mesh, w, r.Clock.Now())
	klog.FromContext(ctx).V(2).Info("Written for a mesh", "verb", w.Verb, "kind", fmt.Sprintf("%T", w.Object), "object", nameOf(w.Object))
	return nil
}

// writeStatus writes the status if it says something else than the one there, and
// tells what happened.
func (r *Reconciler) writeStatus(ctx context.Context, mesh *meshv1alpha1.Mesh, next *plan.Plan) error {
	if apiequality.Semantic.DeepEqual(mesh.Status, next.Status) {
		return nil
	}
	written, err := r.WriteStatus(ctx, mesh, next.Status)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	r.journal.note(mesh.Name, plan.Write{Verb: plan.Update, Object: written, Was: mesh}, r.Clock.Now())
	about := events.RefTo(meshv1alpha1.SchemeGroupVersion.WithKind(meshv1alpha1.ResourceKindMesh), mesh)
	for _, e := range next.Events {
		kind := corev1.EventTypeNormal
		if e.Warning {
			kind = corev1.EventTypeWarning
		}
		r.Recorder.Event(ctx, about, kind, e.Reason, e.Note)
	}
	return nil
}

// confess says in the status that something could not be written. What else is there
// stays: it is not known any better.
func (r *Reconciler) confess(ctx context.Context, name string, failed error) error {
	mesh, err := r.Mesh(ctx, name)
	if err != nil || mesh == nil {
		return err
	}
	status := mesh.Status.DeepCopy()
	changed := meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: meshv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reasonWriteFailed,
		Message:            fmt.Sprintf("the federation does not take what the Mesh needs, which is tried again: %v", failed),
		ObservedGeneration: mesh.Generation, LastTransitionTime: metav1.NewTime(r.Clock.Now()),
	})
	if !changed {
		return nil
	}
	written, err := r.WriteStatus(ctx, mesh, *status)
	if err == nil {
		r.journal.note(mesh.Name, plan.Write{Verb: plan.Update, Object: written, Was: mesh}, r.Clock.Now())
	}
	return client.IgnoreNotFound(err)
}

// until is when to look again.
func (r *Reconciler) until(picture *plan.Picture, next *plan.Plan) time.Duration {
	var again time.Duration
	if !next.Again.IsZero() {
		// A little later, so that the time has come by then.
		again = max(next.Again.Sub(r.Clock.Now()), 0) + 10*time.Millisecond
	}
	for _, token := range picture.Tokens {
		if token.Token == nil && (again == 0 || again > retryToken) {
			again = retryToken
		}
	}
	return again
}
