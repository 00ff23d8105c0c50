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
	// retryConflict is the first delay after somebody else wrote an object, and
	// retryBehind while a cache has not caught up. They double, up to maxRetry and
	// maxBehind.
	retryConflict = 50 * time.Millisecond
	retryBehind   = 20 * time.Millisecond
	maxRetry      = 30 * time.Second
	maxBehind     = time.Second
	// retryToken is the delay after a token could not be read that is said to be
	// there.
	retryToken = 5 * time.Second

	// statusPause is the least time between two statuses of a Mesh of more than
	// largeMesh clusters: each has all links in it.
	statusPause = time.Second
	largeMesh   = 20
	// maxFailure is how much of a failure is told.
	maxFailure = 2048
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
	// Write makes one write and gives the object as it is stored then. What the write
	// has is not changed: objects of a plan share parts.
	Write func(ctx context.Context, w plan.Write) (client.Object, error)
	// WriteStatus writes the status, on the condition that the Mesh is still the one
	// that was read.
	WriteStatus func(ctx context.Context, mesh *meshv1alpha1.Mesh, status meshv1alpha1.MeshStatus) (*meshv1alpha1.Mesh, error)
	// Forget is told of Meshes that are no more.
	Forget func(mesh string)
	// Remains says whether there is something of a Mesh that is no more; errNotYet when
	// that takes longer. Absent reads live whether there is no such Mesh.
	Remains, Absent func(ctx context.Context, mesh string) (bool, error)
	// Recorder records events.
	Recorder events.Recorder
	Clock    clock.PassiveClock

	journal journal
	pauses  pauses
	// statusWritten is when the status of each Mesh was.
	statusWritten map[string]time.Time
	// vanished is since when Meshes are gone of which something remains.
	vanished map[string]time.Time
}

// Reconcile looks at one Mesh.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	mesh, err := r.Mesh(ctx, req.Name)
	switch {
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("reading mesh %s: %w", req.Name, err)
	case mesh == nil:
		return r.sweep(ctx, req.Name)
	}
	delete(r.vanished, req.Name)
	again, err := r.look(ctx, mesh)
	switch {
	case errors.Is(err, errNotYet):
		return reconcile.Result{RequeueAfter: r.pauses.next(mesh.Name, retryBehind, maxBehind)}, nil
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: soonest(again, r.pauses.next(mesh.Name, retryConflict, maxRetry))}, nil
	case err != nil && again == 0:
		return reconcile.Result{}, errors.Join(fmt.Errorf("mesh %s: %w", mesh.Name, err), r.confess(ctx, mesh.Name, err))
	case err != nil:
		// What failed is in the status. Times that matter for other clusters are kept.
		klog.FromContext(ctx).Error(err, "Not everything that a Mesh needs could be written; it is tried again", "mesh", mesh.Name)
		return reconcile.Result{RequeueAfter: soonest(again, r.pauses.next(mesh.Name, time.Second, maxRetry))}, nil
	}
	r.pauses.end(mesh.Name)
	return reconcile.Result{RequeueAfter: again}, nil
}

// soonest is the smaller of two delays; zero means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// look makes a plan and carries it out. It gives when to look again; zero when only
// news matter, or with an error that has kept it from doing anything.
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
	mesh, stopped, failed := r.carryOut(ctx, mesh, next)
	switch {
	case stopped:
		return 0, failed
	case next.Gone && failed == nil:
		return 0, nil
	case next.Gone:
		return maxRetry, failed
	}
	if failed != nil && !apierrors.IsConflict(failed) {
		setReady(&next.Status, r.unwritten(mesh, failed))
	}
	wait, err := r.writeStatus(ctx, mesh, next)
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	again := soonest(r.until(picture, next), wait)
	if failed != nil {
		again = soonest(again, maxRetry)
	}
	return again, failed
}

// carryOut makes the writes of a plan. One that fails for a cluster ends those for that
// cluster, and what needs it; one that is for the mesh ends all. It gives the Mesh as it
// is then.
func (r *Reconciler) carryOut(ctx context.Context, mesh *meshv1alpha1.Mesh, next *plan.Plan) (_ *meshv1alpha1.Mesh, stopped bool, failed error) {
	without := map[string]bool{}
	defer func() { next.Without(mesh, without) }()
	for _, w := range next.Writes {
		if w.Blocked(without) {
			continue
		}
		written, err := r.write(ctx, mesh.Name, w)
		switch {
		case err != nil && w.Cluster == "":
			return mesh, true, errors.Join(failed, err)
		case err != nil:
			without[w.Cluster] = true
			if failed == nil || apierrors.IsConflict(failed) {
				failed = err // one says enough; the others come when it is gone
			}
		default:
			if m, ok := written.(*meshv1alpha1.Mesh); ok {
				mesh = m
			}
		}
	}
	return mesh, false, failed
}

func (r *Reconciler) write(ctx context.Context, mesh string, w plan.Write) (client.Object, error) {
	written, err := r.Write(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("%s of %T %s: %w", w.Verb, w.Object, nameOf(w.Object), err)
	}
	r.journal.note(mesh, plan.Write{Verb: w.Verb, Object: written, Was: w.Was}, r.Clock.Now())
	klog.FromContext(ctx).V(2).Info("Written for a mesh", "verb", w.Verb, "kind", fmt.Sprintf("%T", w.Object), "object", nameOf(w.Object))
	return written, nil
}

// writeStatus writes the status if it says something else than the one there, and
// tells what happened. That of a large mesh is not written at once: it gives how long to
// wait.
func (r *Reconciler) writeStatus(ctx context.Context, mesh *meshv1alpha1.Mesh, next *plan.Plan) (time.Duration, error) {
	if apiequality.Semantic.DeepEqual(mesh.Status, next.Status) {
		return 0, nil
	}
	now := r.Clock.Now()
	if wait := r.statusWritten[mesh.Name].Add(statusPause).Sub(now); wait > 0 && len(next.Status.Clusters) > largeMesh {
		return wait, nil
	}
	written, err := r.WriteStatus(ctx, mesh, next.Status)
	if err != nil {
		return 0, fmt.Errorf("status: %w", err)
	}
	if r.statusWritten == nil {
		r.statusWritten = map[string]time.Time{}
	}
	r.statusWritten[mesh.Name] = now
	r.journal.note(mesh.Name, plan.Write{Verb: plan.Update, Object: written, Was: mesh}, now)
	about := events.RefTo(meshv1alpha1.SchemeGroupVersion.WithKind(meshv1alpha1.ResourceKindMesh), mesh)
	for _, e := range next.Events {
		kind := corev1.EventTypeNormal
		if e.Warning {
			kind = corev1.EventTypeWarning
		}
		r.Recorder.Event(ctx, about, kind, e.Reason, e.Note)
	}
	return 0, nil
}

// unwritten is the condition Ready while something cannot be written.
func (r *Reconciler) unwritten(mesh *meshv1alpha1.Mesh, failed error) metav1.Condition {
	message := fmt.Sprintf("the federation does not take what the Mesh needs, which is tried again: %v", failed)
	return metav1.Condition{
		Type: meshv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reasonWriteFailed,
		Message: meshv1alpha1.Clip(message, maxFailure), ObservedGeneration: mesh.Generation,
		LastTransitionTime: metav1.NewTime(r.Clock.Now().UTC().Truncate(time.Second)),
	}
}

// setReady sets a condition, with the time of the one before if that said the same.
func setReady(status *meshv1alpha1.MeshStatus, ready metav1.Condition) bool {
	return meta.SetStatusCondition(&status.Conditions, ready)
}

// confess says in the status that nothing could be done. What else is there stays: it
// is not known any better.
func (r *Reconciler) confess(ctx context.Context, name string, failed error) error {
	mesh, err := r.Mesh(ctx, name)
	if err != nil || mesh == nil {
		return err
	}
	status := mesh.Status.DeepCopy()
	if !setReady(status, r.unwritten(mesh, failed)) {
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

// pauses are delays that double, by Mesh.
type pauses struct{ last map[string]time.Duration }

// next is the delay after another failure.
func (p *pauses) next(mesh string, first, most time.Duration) time.Duration {
	if p.last == nil {
		p.last = map[string]time.Duration{}
	}
	p.last[mesh] = min(max(2*p.last[mesh], first), most)
	return p.last[mesh]
}

func (p *pauses) end(mesh string) { delete(p.last, mesh) }
