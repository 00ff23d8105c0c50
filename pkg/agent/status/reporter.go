package status

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
)

// Post sends observations and returns those that were not taken.
type Post func(context.Context, []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error)

// Options of a Reporter. Only Post is needed.
type Options struct {
	Post Post
	// Interval is the shortest time between two reports. Default 250 ms.
	Interval time.Duration
	// MaxBatch is the most observations in one report. Default 500.
	MaxBatch int
	// MaxBackoff bounds the wait after a failed report. Default 10 s.
	MaxBackoff time.Duration
	// Recheck is how long to wait before an observation that was not taken is sent again. Default 5 s.
	Recheck time.Duration
	Clock   clock.WithTicker
}

// maxRechecks bounds how often that is done unless the work is listed again.
const maxRechecks = 6

// Reporter sends observations of works. See the package comment.
type Reporter struct {
	opts Options
	wake chan struct{}
	// kick ends the wait after a failure.
	kick chan struct{}

	mu     sync.Mutex
	works  map[string]*entry
	dirty  map[string]bool
	resets int
}

type digest [sha256.Size]byte

type entry struct {
	observation agentv1alpha1.WorkObservation
	digest      digest
	// taken is the digest of what the federation has taken.
	taken digest
	// refused is set when it did not take what it was sent last.
	refused bool
	// rechecks counts how often that was sent again, listings how often the federation named the work.
	rechecks, listings int
}

// sent is what was sent of a work.
type sent struct {
	digest
	listings int
}

// New returns a Reporter with nothing to report.
func New(opts Options) *Reporter {
	if opts.Interval == 0 {
		opts.Interval = 250 * time.Millisecond
	}
	if opts.MaxBatch == 0 {
		opts.MaxBatch = 500
	}
	if opts.MaxBackoff == 0 {
		opts.MaxBackoff = 10 * time.Second
	}
	if opts.Recheck == 0 {
		opts.Recheck = 5 * time.Second
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Reporter{opts: opts, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), works: map[string]*entry{}, dirty: map[string]bool{}}
}

// Set replaces what is known of a work. It does not block.
func (r *Reporter) Set(observation agentv1alpha1.WorkObservation) {
	sum, err := digestOf(observation)
	if err != nil {
		return // a status that is no JSON cannot be sent either
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.works[observation.Name]
	if e == nil {
		e = &entry{}
		r.works[observation.Name] = e
	}
	if e.digest == sum {
		return
	}
	e.observation, e.digest = observation, sum
	e.refused, e.rechecks = false, 0
	if e.taken == sum {
		delete(r.dirty, observation.Name) // changed and changed back before it was sent
		return
	}
	r.mark(observation.Name)
}

// Listed says that the federation has this work, be it again: what it did not take of it before, it
// may take now. It does not block.
func (r *Reporter) Listed(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.works[name]; e != nil {
		e.listings++
		e.rechecks = 0
		r.again(name, e)
	}
}

// again sends what was refused once more. Called under the lock.
func (r *Reporter) again(name string, e *entry) {
	if e.refused {
		e.refused, e.taken = false, digest{}
		r.mark(name)
	}
}

// recheck is for an API server that knew less than the one that works are read from.
func (r *Reporter) recheck() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, e := range r.works {
		if e.refused && e.rechecks < maxRechecks {
			e.rechecks++
			r.again(name, e)
		}
	}
}

// Forget drops what is known of a work.
func (r *Reporter) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.works, name)
	delete(r.dirty, name)
}

// Reset makes everything be sent again, at once: the federation answers again.
func (r *Reporter) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resets++
	for name, e := range r.works {
		e.taken = digest{}
		r.mark(name)
	}
	signal(r.kick)
}

// Run sends until the context ends. A failed report is tried again with backoff, with what is newest
// then.
func (r *Reporter) Run(ctx context.Context) {
	first := wait.Backoff{Duration: r.opts.Interval, Factor: 2, Steps: 10, Cap: r.opts.MaxBackoff, Jitter: 0.3}
	backoff := first
	recheck := r.opts.Clock.NewTicker(r.opts.Recheck)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-recheck.C():
			r.recheck()
			continue
		case <-r.wake:
		}
		delay := r.opts.Interval
		if err := r.flush(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			delay = backoff.Step()
			klog.FromContext(ctx).V(1).Info("Cannot report, will retry", "err", err, "after", delay)
			signal(r.wake)
		} else {
			backoff = first
		}
		timer := r.opts.Clock.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		case <-r.kick:
			timer.Stop()
		}
	}
}

// flush sends what is dirty, in batches.
func (r *Reporter) flush(ctx context.Context) error {
	for {
		batch, out, resets := r.next()
		if len(batch) == 0 {
			return nil
		}
		rejected, err := r.opts.Post(ctx, batch)
		r.settle(out, rejected, resets, err)
		if err != nil {
			return err
		}
		for _, item := range rejected {
			klog.FromContext(ctx).V(2).Info("The federation did not take an observation", "work", item.Name, "reason", item.Reason)
		}
		if len(batch) < r.opts.MaxBatch {
			return nil // what came meanwhile waits for its interval
		}
	}
}

// next takes a batch out of what is dirty, in order of names.
func (r *Reporter) next() ([]agentv1alpha1.WorkObservation, map[string]sent, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.dirty))
	for name := range r.dirty {
		names = append(names, name)
	}
	slices.Sort(names)
	names = names[:min(len(names), r.opts.MaxBatch)]
	batch := make([]agentv1alpha1.WorkObservation, 0, len(names))
	out := make(map[string]sent, len(names))
	for _, name := range names {
		e := r.works[name]
		batch = append(batch, e.observation)
		out[name] = sent{e.digest, e.listings}
		delete(r.dirty, name)
	}
	return batch, out, r.resets
}

// settle notes what became of a batch. What was not taken is not sent again for now: the federation has
// no such work, or another one of that name. It may come to have it, though, unchanged: see Listed.
func (r *Reporter) settle(out map[string]sent, rejected []agentv1alpha1.RejectedObservation, resets int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, was := range out {
		e := r.works[name]
		if e == nil {
			continue
		}
		if err == nil && resets == r.resets {
			e.taken = was.digest
		}
		if e.digest != e.taken {
			r.mark(name)
		}
	}
	for _, item := range rejected {
		was, ok := out[item.Name]
		e := r.works[item.Name]
		if err != nil || !ok || e == nil || e.digest != was.digest || e.digest != e.taken {
			continue
		}
		e.refused = true
		if e.listings != was.listings {
			r.again(item.Name, e) // it was listed while the report was on its way
		}
	}
}

// mark is called under the lock.
func (r *Reporter) mark(name string) {
	r.dirty[name] = true
	signal(r.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func digestOf(observation agentv1alpha1.WorkObservation) (digest, error) {
	raw, err := json.Marshal(observation)
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(raw), nil
}
