package heartbeat

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/flotilla-io/flotilla/api/names"
)

// leaseBeats is how many beats a lease outlives.
const leaseBeats = 4

// Leases reads and writes the Lease of this agent's cluster.
type Leases interface {
	Get(ctx context.Context) (*coordinationv1.Lease, error)
	Create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
	Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// Heart renews the lease.
type Heart struct {
	Leases  Leases
	Cluster string
	// Holder names this process in the lease.
	Holder string
	// Interval between renewals. The lease lasts four times as long.
	Interval time.Duration
	// OnRecovered is called after a renewal that came so late that the lease had run out.
	OnRecovered func()
	Clock       clock.WithTicker

	lease   *coordinationv1.Lease
	renewed time.Time
}

// firstRetry is how soon a beat that failed is tried again. Each further one waits twice as long, up to
// the interval: the namespace of the leases may just be on its way, or the federation starting.
const firstRetry = 250 * time.Millisecond

// Run renews until the context ends, with jitter so that agents that started together drift apart.
func (h *Heart) Run(ctx context.Context) {
	retry := firstRetry
	for ctx.Err() == nil {
		next := h.Interval * 9 / 10
		if err := h.beat(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).V(1).Info("Cannot renew the cluster's lease, will retry", "err", err)
			next = min(next, retry)
			retry = 2 * next
		} else {
			retry = firstRetry
		}
		timer := h.Clock.NewTimer(wait.Jitter(next, 0.2))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C():
		}
	}
}

func (h *Heart) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.Interval)
	defer cancel()
	err := h.renew(ctx)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		h.lease = nil
		err = h.renew(ctx)
	}
	if err != nil {
		h.lease = nil
		return fmt.Errorf("lease %s/%s: %w", names.ClusterNamespace, h.Cluster, err)
	}
	now := h.Clock.Now()
	late := !h.renewed.IsZero() && now.Sub(h.renewed) >= leaseBeats*h.Interval
	h.renewed = now
	if late && h.OnRecovered != nil {
		h.OnRecovered()
	}
	return nil
}

func (h *Heart) renew(ctx context.Context) error {
	if h.lease == nil {
		lease, err := h.Leases.Get(ctx)
		if apierrors.IsNotFound(err) {
			lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: h.Cluster, Namespace: names.ClusterNamespace}}
			h.fill(lease)
			h.lease, err = h.Leases.Create(ctx, lease)
			return err
		}
		if err != nil {
			return err
		}
		h.lease = lease
	}
	next := h.lease.DeepCopy()
	h.fill(next)
	updated, err := h.Leases.Update(ctx, next)
	if err == nil {
		h.lease = updated
	}
	return err
}

func (h *Heart) fill(lease *coordinationv1.Lease) {
	now := metav1.NewMicroTime(h.Clock.Now())
	if ptr.Deref(lease.Spec.HolderIdentity, "") != h.Holder {
		lease.Spec.HolderIdentity = ptr.To(h.Holder)
		lease.Spec.AcquireTime = &now
	}
	lease.Spec.LeaseDurationSeconds = ptr.To(max(1, int32(leaseBeats*h.Interval/time.Second)))
	lease.Spec.RenewTime = &now
}
