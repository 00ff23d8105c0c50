package meshlink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/notfound"
)

const (
	// sweepAfter is how long a Mesh has to be gone before what it has left behind is
	// taken away: one that is made anew at once finds all as it was.
	sweepAfter = 10 * time.Second
	// sweepAgain is how often what remains is looked at, besides at news.
	sweepAgain = 30 * time.Second
)

// sweep takes away what a Mesh has left that went without its finalizer: somebody has
// removed that by hand. It is done as if the Mesh were being deleted, in the same order.
//
// That a cache has no Mesh proves nothing: it may not have it yet. So each look that
// would write something reads the Mesh live before.
func (r *Reconciler) sweep(ctx context.Context, name string) (reconcile.Result, error) {
	remains, err := r.Remains(ctx, name)
	switch {
	case errors.Is(err, errNotYet):
		return reconcile.Result{RequeueAfter: r.pauses.next(name, retryBehind, maxBehind)}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("what mesh %s has left: %w", name, err)
	case !remains:
		r.Forget(name)
		r.journal.forget(name)
		r.pauses.end(name)
		delete(r.statusWritten, name)
		delete(r.vanished, name)
		return reconcile.Result{}, nil
	}
	now := r.Clock.Now()
	since, known := r.vanished[name]
	if !known {
		if r.vanished == nil {
			r.vanished = map[string]time.Time{}
		}
		r.vanished[name], since = now, now
	}
	if wait := since.Add(sweepAfter).Sub(now); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	absent, err := r.Absent(ctx, name)
	switch {
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("looking whether mesh %s is gone: %w", name, err)
	case !absent:
		delete(r.vanished, name)
		return reconcile.Result{RequeueAfter: r.pauses.next(name, retryBehind, maxBehind)}, nil
	}
	again, err := r.sweepOnce(ctx, vanishedMesh(name, since))
	switch {
	case errors.Is(err, errNotYet):
		return reconcile.Result{RequeueAfter: r.pauses.next(name, retryBehind, maxBehind)}, nil
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: r.pauses.next(name, retryConflict, maxRetry)}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("what mesh %s has left: %w", name, err)
	}
	r.pauses.end(name)
	return reconcile.Result{RequeueAfter: soonest(again, sweepAgain)}, nil
}

// vanishedMesh stands for a Mesh that is no more: one that is being deleted, and has no
// finalizer to let go of.
func vanishedMesh(name string, since time.Time) *meshv1alpha1.Mesh {
	mesh := &meshv1alpha1.Mesh{}
	mesh.Name, mesh.DeletionTimestamp = name, &metav1.Time{Time: since}
	return mesh
}

func (r *Reconciler) sweepOnce(ctx context.Context, mesh *meshv1alpha1.Mesh) (time.Duration, error) {
	picture, err := r.Picture(ctx, mesh)
	if err != nil {
		return 0, err
	}
	now := r.Clock.Now()
	if r.journal.ahead(picture, now) {
		return 0, errNotYet
	}
	next, err := plan.Make(picture, now)
	if err != nil {
		return 0, err
	}
	if len(next.Writes) > 0 {
		klog.FromContext(ctx).Info("A Mesh went without its finalizer; what it has left behind is taken away", "mesh", mesh.Name, "writes", len(next.Writes))
	}
	_, _, failed := r.carryOut(ctx, mesh, next)
	return r.until(picture, next), failed
}

// Remains says whether caches show something of a Mesh: MeshMembers, or, once they are
// followed, Works.
func (i *inputs) Remains(ctx context.Context, mesh string) (bool, error) {
	members, err := i.Members(ctx)
	if err != nil {
		return false, err
	}
	for _, member := range members {
		if _, ok := names.ClusterOf(member.Namespace); ok && member.Name == mesh {
			return true, nil
		}
	}
	if !i.Followed() {
		return false, nil
	}
	works, err := i.Works(ctx, mesh)
	if err != nil {
		return false, err
	}
	for _, work := range works {
		if _, ok := names.ClusterOf(work.Namespace); ok && strings.HasPrefix(work.Name, meshv1alpha1.WorkPrefix(mesh)) {
			return true, nil
		}
	}
	return false, nil
}

// absent says whether there is no Mesh of a name. A server that does not serve Meshes at
// the moment answers that nothing is found, too; that is an error.
func absent(ctx context.Context, live client.Reader, name string) (bool, error) {
	err := live.Get(ctx, client.ObjectKey{Name: name}, &meshv1alpha1.Mesh{})
	status := apierrors.APIStatus(nil)
	if notfound.Object(err) && errors.As(err, &status) {
		if details := status.Status().Details; details != nil && details.Name == name {
			return true, nil
		}
	}
	return false, err
}
