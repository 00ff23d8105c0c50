package events

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/lru"
)

// Options of a Writer. The zero value takes the defaults.
type Options struct {
	// QueueSize is how many events may wait; 4096 by default.
	QueueSize int
	// Remembered is how many distinct events are remembered in order to count
	// their repetitions; 16384 by default.
	Remembered int
	// RememberFor is how long an event counts as said. It should be the time
	// the API server keeps Events, one hour by default.
	RememberFor time.Duration
	// FlushTimeout bounds writing the queue at the end; 3 s by default.
	FlushTimeout time.Duration
	// Attempts is how often a write is tried; 4 by default.
	Attempts int
	// RetryDelay is the pause before the second attempt, doubled each time;
	// 100 ms by default.
	RetryDelay time.Duration
}

func (o *Options) complete() {
	setDefault(&o.QueueSize, 4096)
	setDefault(&o.Remembered, 16384)
	setDefault(&o.RememberFor, time.Hour)
	setDefault(&o.FlushTimeout, 3*time.Second)
	setDefault(&o.Attempts, 4)
	setDefault(&o.RetryDelay, 100*time.Millisecond)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// CreateFunc stores one Event.
type CreateFunc func(ctx context.Context, event *corev1.Event) error

// Writer writes recorded events one after the other. Start runs it; what is
// recorded before that waits.
type Writer struct {
	create   CreateFunc
	opts     Options
	instance string
	now      func() time.Time

	said *lru.Cache // identity -> time it stops counting as said

	mu      sync.Mutex
	waiting []record
	wake    chan struct{}
}

// New makes a Writer that stores events with create.
func New(create CreateFunc, opts Options) *Writer {
	opts.complete()
	instance, err := os.Hostname()
	if err != nil {
		instance = "unknown"
	}
	return &Writer{
		create:   create,
		opts:     opts,
		instance: instance,
		now:      time.Now,
		said:     lru.New(opts.Remembered),
		wake:     make(chan struct{}, 1),
	}
}

// NewForConfig makes a Writer that stores events in the cluster of cfg.
func NewForConfig(cfg *rest.Config, opts Options) (*Writer, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	clients, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return New(func(ctx context.Context, event *corev1.Event) error {
		_, err := clients.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
		return err
	}, opts), nil
}

// For gives a Recorder whose events come from the named component; describe
// shows the name in the column From.
func (w *Writer) For(component string) Recorder {
	return Func(func(_ context.Context, about corev1.ObjectReference, eventType, reason, note string) {
		w.record(record{
			about: about, component: component, eventType: eventType, reason: reason,
			note: shortened(note), at: metav1.NewTime(w.now()),
		})
	})
}

func (w *Writer) record(r record) {
	id := r.identity()
	w.mu.Lock()
	defer w.mu.Unlock()
	if until, ok := w.said.Get(id); ok && r.at.Time.Before(until.(time.Time)) {
		count(r.component, resultRepeated)
		return
	}
	w.said.Add(id, r.at.Add(w.opts.RememberFor))
	if len(w.waiting) >= w.opts.QueueSize {
		w.forget(w.waiting[0], resultDropped)
		w.waiting = w.waiting[1:]
	}
	w.waiting = append(w.waiting, r)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// forget makes an event that was not written sayable again.
func (w *Writer) forget(r record, result string) {
	w.said.Remove(r.identity())
	count(r.component, result)
}

// Start writes events until ctx ends, and then what is still waiting, for at most
// Options.FlushTimeout. It always returns nil. It satisfies the controller
// manager's Runnable.
func (w *Writer) Start(ctx context.Context) error {
	for {
		w.drain(ctx)
		select {
		case <-w.wake:
		case <-ctx.Done():
			flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.opts.FlushTimeout)
			w.drain(flush)
			cancel()
			return nil
		}
	}
}

// NeedLeaderElection tells the controller manager that every replica writes the
// events of its own components.
func (w *Writer) NeedLeaderElection() bool { return false }

func (w *Writer) drain(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		if len(w.waiting) == 0 {
			w.waiting = nil // let go of the backing array
			w.mu.Unlock()
			return
		}
		r := w.waiting[0]
		w.waiting = w.waiting[1:]
		w.mu.Unlock()
		w.write(ctx, r)
	}
}

func (w *Writer) write(ctx context.Context, r record) {
	event := w.render(r)
	delay := w.opts.RetryDelay
	for attempt := 1; ; attempt++ {
		err := w.create(ctx, event)
		switch {
		case err == nil:
			count(r.component, resultWritten)
			return
		case apierrors.IsAlreadyExists(err):
			count(r.component, resultRepeated)
			return
		case ctx.Err() != nil:
			w.putBack(r)
			return
		case final(err) || attempt >= w.opts.Attempts:
			w.mu.Lock()
			w.forget(r, resultFailed)
			w.mu.Unlock()
			klog.FromContext(ctx).V(2).Info("Event not written", "err", err,
				"object", klog.KRef(r.about.Namespace, r.about.Name), "reason", r.reason, "note", r.note)
			return
		}
		select {
		case <-time.After(delay):
			delay *= 2
		case <-ctx.Done():
			w.putBack(r)
			return
		}
	}
}

// putBack returns an interrupted event to the head of the queue, for the flush.
func (w *Writer) putBack(r record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append([]record{r}, w.waiting...)
}

// final tells whether another attempt could not end differently: the namespace is
// gone or going, or the event is malformed or not allowed.
func final(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) ||
		apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

const (
	resultWritten  = "written"
	resultRepeated = "repeated"
	resultDropped  = "dropped"
	resultFailed   = "failed"
)

var total = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "flotilla_events_total",
	Help: "Events recorded, by component and by what became of them: " +
		"written, repeated (said before, not written again), dropped (queue full), failed.",
}, []string{"component", "result"})

// Collectors are the metrics of this package, to be registered once per process.
func Collectors() []prometheus.Collector { return []prometheus.Collector{total} }

func count(component, result string) { total.WithLabelValues(component, result).Inc() }
