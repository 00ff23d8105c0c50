package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

const (
	// retryConflict is the delay after somebody else wrote the Cluster.
	retryConflict = 50 * time.Millisecond
	// retryNamespace is the delay until the next look at an execution namespace
	// that is still being deleted.
	retryNamespace = time.Second
	// retryHost is the delay while the host of agents starts.
	retryHost = 100 * time.Millisecond
	// credentialsInterval is how often the credentials of a Push cluster are
	// looked at even if nothing was heard of them: a Secret outside of the
	// watched namespace can change unseen.
	credentialsInterval = time.Minute
)

// Reconciler makes one Cluster what it should be.
type Reconciler struct {
	// Cluster gives a Cluster of its own to change, nil when there is none.
	Cluster func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error)
	// Patch and PatchStatus write the difference, on the condition that the
	// Cluster is still the one that was read.
	Patch, PatchStatus func(ctx context.Context, from, to *clusterv1alpha1.Cluster) error
	// Namespace gives a namespace from the cache, nil when there is none.
	Namespace func(ctx context.Context, name string) (metav1.Object, error)
	// CreateNamespace and DeleteLease find it no error when that is the state
	// already.
	CreateNamespace func(ctx context.Context, name string) error
	DeleteLease     func(ctx context.Context, cluster string) error
	// DeleteNamespace has a namespace deleted, which takes its time, and tells
	// whether it is gone, according to the API server itself.
	DeleteNamespace func(ctx context.Context, name string) (gone bool, err error)
	// Secret reads a Secret live.
	Secret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// EnsureHosted and StopHosted are those of Host.
	EnsureHosted func(cluster *clusterv1alpha1.Cluster, member *rest.Config, fingerprint string) (bool, error)
	StopHosted   func(cluster string)

	// Grace is how long a lease may go without renewal.
	Grace time.Duration
	// DetachGrace is how long API servers have to stop serving a leaving
	// cluster's agent.
	DetachGrace time.Duration
	Clock       clock.PassiveClock

	// pulse is about clusters that are there, leaving about those on their way
	// out.
	pulse, leaving pulse
}

// Reconcile looks at one cluster.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	c, err := r.Cluster(ctx, req.Name)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading cluster %s: %w", req.Name, err)
	}
	if c == nil {
		r.StopHosted(req.Name)
		r.pulse.forget(req.Name)
		r.leaving.forget(req.Name)
		return reconcile.Result{}, nil
	}
	step := r.join
	if !c.DeletionTimestamp.IsZero() {
		step = r.leave
	}
	res, err := step(ctx, c)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: retryConflict}, nil
	}
	return res, err
}

func (r *Reconciler) join(ctx context.Context, c *clusterv1alpha1.Cluster) (reconcile.Result, error) {
	wait, err := r.ensureNamespaces(ctx, c.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	condition, next, err := r.judge(ctx, c)
	if err != nil {
		return reconcile.Result{}, err
	}
	if condition != nil {
		if err := r.writeCondition(ctx, c, *condition); err != nil {
			return reconcile.Result{}, err
		}
	}

	changed := c.DeepCopy()
	controllerutil.AddFinalizer(changed, names.ClusterFinalizer)
	changed.Spec.Taints = taintsFor(c, r.Clock.Now())
	if !apiequality.Semantic.DeepEqual(c, changed) {
		if err := r.Patch(ctx, c, changed); err != nil {
			return reconcile.Result{}, fmt.Errorf("cluster %s: finalizer and taints: %w", c.Name, err)
		}
	}
	return reconcile.Result{RequeueAfter: soonest(wait, next)}, nil
}

// ensureNamespaces creates what is missing. It gives when to look again; zero
// when all is there.
func (r *Reconciler) ensureNamespaces(ctx context.Context, cluster string) (time.Duration, error) {
	var again time.Duration
	for _, name := range []string{names.ClusterNamespace, names.ExecutionNamespace(cluster)} {
		ns, err := r.Namespace(ctx, name)
		switch {
		case err != nil:
			return 0, fmt.Errorf("cluster %s: reading namespace %s: %w", cluster, name, err)
		case ns == nil:
			if err := r.CreateNamespace(ctx, name); err != nil {
				return 0, fmt.Errorf("cluster %s: creating namespace %s: %w", cluster, name, err)
			}
		case ns.GetDeletionTimestamp() != nil:
			again = retryNamespace
		}
	}
	return again, nil
}

// judge gives the condition that only this process can know of, nil when there is
// none, and when to look again.
func (r *Reconciler) judge(ctx context.Context, c *clusterv1alpha1.Cluster) (*metav1.Condition, time.Duration, error) {
	again := r.Grace
	if c.Spec.SyncMode == clusterv1alpha1.Push {
		again = credentialsInterval
		ready, err := r.host(ctx, c)
		switch {
		case errors.Is(err, ErrCredentials):
			r.StopHosted(c.Name)
			return &metav1.Condition{
				Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionFalse,
				Reason: ReasonCredentialsUnusable, Message: err.Error(),
			}, again, nil
		case err != nil:
			return nil, 0, err
		case !ready:
			again = retryHost
		}
	} else {
		r.StopHosted(c.Name)
	}

	now := r.Clock.Now()
	left := r.Grace - now.Sub(r.pulse.since(c.Name, now))
	if left > 0 {
		return nil, soonest(again, left), nil
	}
	condition := silent(c, r.Grace)
	return &condition, again, nil
}

// host has the agent of a Push cluster running.
func (r *Reconciler) host(ctx context.Context, c *clusterv1alpha1.Cluster) (bool, error) {
	ref := c.Spec.SecretRef
	if ref == nil {
		return false, fmt.Errorf("cluster %s: spec.secretRef is empty; name a Secret in namespace %s with the keys %s and %s: %w",
			c.Name, names.ClusterNamespace, secretCABundle, secretToken, ErrCredentials)
	}
	secret, err := r.Secret(ctx, ref.Namespace, ref.Name)
	switch {
	case apierrors.IsNotFound(err):
		return false, fmt.Errorf("cluster %s: spec.secretRef: Secret %s/%s does not exist; create it with the keys %s and %s: %w",
			c.Name, ref.Namespace, ref.Name, secretCABundle, secretToken, ErrCredentials)
	case err != nil:
		return false, fmt.Errorf("cluster %s: reading Secret %s/%s: %w", c.Name, ref.Namespace, ref.Name, err)
	}
	member, err := memberConfig(c, secret)
	if err != nil {
		return false, err
	}
	ready, err := r.EnsureHosted(c, member, fingerprint(c, secret))
	if err != nil {
		return false, fmt.Errorf("cluster %s: starting its agent: %w", c.Name, err)
	}
	return ready, nil
}

// fingerprint changes with everything a hosted agent is made from.
func fingerprint(c *clusterv1alpha1.Cluster, secret *corev1.Secret) string {
	data, err := json.Marshal([]any{
		c.UID, c.Spec.APIEndpoint, c.Spec.InsecureSkipTLSVerification, c.Spec.ProxyURL, c.Spec.ProxyHeader,
		secret.Data[secretToken], secret.Data[secretCABundle],
	})
	if err != nil { // plain data always marshals
		return secret.ResourceVersion
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (r *Reconciler) writeCondition(ctx context.Context, c *clusterv1alpha1.Cluster, condition metav1.Condition) error {
	changed := c.DeepCopy()
	condition.ObservedGeneration = 0 // says nothing about the spec
	condition.LastTransitionTime = metav1.NewTime(r.Clock.Now())
	if !meta.SetStatusCondition(&changed.Status.Conditions, condition) {
		return nil
	}
	if err := r.PatchStatus(ctx, c, changed); err != nil {
		return fmt.Errorf("cluster %s: condition %s: %w", c.Name, condition.Type, err)
	}
	klog.FromContext(ctx).Info("Cluster condition changed", "cluster", c.Name, "condition", condition.Type,
		"status", condition.Status, "reason", condition.Reason)
	// What follows works on what was stored.
	*c = *changed
	return nil
}

// leave lets go of a cluster in an order in which its agent cannot mistake the
// end of its works for a wish to have the workloads deleted.
func (r *Reconciler) leave(ctx context.Context, c *clusterv1alpha1.Cluster) (reconcile.Result, error) {
	r.StopHosted(c.Name)
	if !controllerutil.ContainsFinalizer(c, names.ClusterFinalizer) {
		return reconcile.Result{}, nil
	}
	// From when this process saw it: the deletion timestamp is another clock's.
	now := r.Clock.Now()
	if left := r.DetachGrace - now.Sub(r.leaving.since(c.Name, now)); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	// Until it is gone the name is not free: a cluster that joins under it would
	// find a namespace in which nothing can be created.
	gone, err := r.DeleteNamespace(ctx, names.ExecutionNamespace(c.Name))
	switch {
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("cluster %s: deleting its execution namespace: %w", c.Name, err)
	case !gone:
		return reconcile.Result{RequeueAfter: retryNamespace}, nil // its end is an event, too
	}
	if err := r.DeleteLease(ctx, c.Name); err != nil {
		return reconcile.Result{}, fmt.Errorf("cluster %s: deleting its lease: %w", c.Name, err)
	}
	changed := c.DeepCopy()
	controllerutil.RemoveFinalizer(changed, names.ClusterFinalizer)
	if err := r.Patch(ctx, c, changed); err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("cluster %s: removing the finalizer: %w", c.Name, err)
	}
	return reconcile.Result{}, nil // the Cluster's end is an event
}

// soonest is the smaller of two delays; zero means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
