package heartbeat

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Writer keeps Cluster.status as observed.
type Writer struct {
	opts   WriterOptions
	urgent chan struct{}
	later  chan struct{}
	stale  chan struct{}

	// stored is the Cluster as last read or written; nil when it has to be read.
	stored *clusterv1alpha1.Cluster
}

// WriterOptions of a Writer.
type WriterOptions struct {
	Clusters Clusters
	// Observe returns what is known now.
	Observe func() Observed
	// OnRead is told each Cluster that was read. It may be nil.
	OnRead func(*clusterv1alpha1.Cluster)
	// PollOften asks for the Cluster to be read every few seconds. It may be nil.
	PollOften func() bool
	// Interval is the shortest time between two writes for Later. Default 10 s.
	Interval time.Duration
	Clock    clock.WithTicker
}

const (
	// readInterval is how often the Cluster is read although nothing happened.
	readInterval = time.Minute
	// pollInterval is that while PollOften says so.
	pollInterval = 3 * time.Second
	// urgentGap is the shortest time between two rounds.
	urgentGap = 300 * time.Millisecond
)

// NewWriter returns a Writer.
func NewWriter(opts WriterOptions) *Writer {
	if opts.Interval == 0 {
		opts.Interval = 10 * time.Second
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Writer{opts: opts, urgent: make(chan struct{}, 1), later: make(chan struct{}, 1), stale: make(chan struct{}, 1)}
}

// Soon asks for the status to be written at once if it differs.
func (w *Writer) Soon() { signal(w.urgent) }

// Later asks for that within the interval.
func (w *Writer) Later() { signal(w.later) }

// Reread asks for the Cluster to be read again: others may have changed it.
func (w *Writer) Reread() { signal(w.stale) }

// Run writes until the context ends. Failures are tried again with backoff.
func (w *Writer) Run(ctx context.Context) {
	first := wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: 30 * time.Second, Jitter: 0.3}
	backoff := first
	for {
		next := w.idle()
		if err := w.sync(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			next = backoff.Step()
			klog.FromContext(ctx).V(1).Info("Cannot write the cluster's status, will retry", "err", err, "after", next)
		} else {
			backoff = first
		}
		if !w.wait(ctx, next) {
			return
		}
	}
}

func (w *Writer) idle() time.Duration {
	if w.opts.PollOften != nil && w.opts.PollOften() {
		return pollInterval
	}
	return wait.Jitter(readInterval, 0.2)
}

// wait returns when there is something to do; false when the context ended. After longest the Cluster
// is read again.
func (w *Writer) wait(ctx context.Context, longest time.Duration) bool {
	started := w.opts.Clock.Now()
	gap := w.opts.Clock.NewTimer(urgentGap)
	select {
	case <-ctx.Done():
		gap.Stop()
		return false
	case <-gap.C():
	}
	deadline := w.opts.Clock.NewTimer(longest)
	defer deadline.Stop()
	var due <-chan time.Time // when numbers are written
	for {
		select {
		case <-ctx.Done():
			return false
		case <-deadline.C():
			w.stored = nil
			return true
		case <-w.stale:
			w.stored = nil
			return true
		case <-w.urgent:
			return true
		case <-due:
			return true
		case <-w.later:
			if due == nil {
				timer := w.opts.Clock.NewTimer(max(0, w.opts.Interval-w.opts.Clock.Since(started)))
				defer timer.Stop() // set once
				due = timer.C()
			}
		}
	}
}

func (w *Writer) sync(ctx context.Context) error {
	for range 3 {
		if w.stored == nil {
			cluster, err := w.opts.Clusters.Get(ctx)
			if err != nil {
				return fmt.Errorf("read the Cluster: %w", err)
			}
			w.stored = cluster
			if w.opts.OnRead != nil {
				w.opts.OnRead(cluster)
			}
		}
		status, differs := Merge(w.stored.Status, w.opts.Observe())
		if !differs {
			return nil
		}
		next := w.stored.DeepCopy()
		next.Status = status
		written, err := w.opts.Clusters.UpdateStatus(ctx, next)
		if err == nil {
			w.stored = written
			return nil
		}
		w.stored = nil
		if !apierrors.IsConflict(err) {
			return fmt.Errorf("write the Cluster's status: %w", err)
		}
	}
	return nil // someone else writes it all the time; the next round comes
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
