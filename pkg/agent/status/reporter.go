package status

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	// MaxBytes is the most that the observations of one report may take up as JSON. A single one that
	// takes more is sent without its status. Default 1 MiB.
	MaxBytes int
	// MaxBackoff bounds the wait after a failed report. Default 10 s.
	MaxBackoff time.Duration
	// Recheck is how long to wait before an observation that was not taken is sent again; each time twice
	// as long, up to MaxRecheck. Default 5 s and 1 min.
	Recheck, MaxRecheck time.Duration
	// Repeat is how often everything is sent again, give or take a tenth. Default 15 min.
	Repeat time.Duration
	Clock  clock.WithTicker
}

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
	// count and bytes bound the next report: less than the options say after one that was too large.
	count, bytes int
	// full is set when the last report left out what did not fit.
	full bool
}

type digest [sha256.Size]byte

type entry struct {
	observation agentv1alpha1.WorkObservation
	digest      digest
	// size of the observation as JSON.
	size int
	// taken is the digest of what the federation has taken.
	taken digest
	// refused is set when it did not take what it was sent last.
	refused bool
	// pause is how long the next recheck waits after it, which is when that is.
	pause time.Duration
	after time.Time
	// listings counts how often the federation named the work.
	listings int
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
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 1 << 20
	}
	if opts.MaxBackoff == 0 {
		opts.MaxBackoff = 10 * time.Second
	}
	if opts.Recheck == 0 {
		opts.Recheck = 5 * time.Second
	}
	if opts.MaxRecheck == 0 {
		opts.MaxRecheck = time.Minute
	}
	if opts.Repeat == 0 {
		opts.Repeat = 15 * time.Minute
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	return &Reporter{
		opts: opts, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), works: map[string]*entry{}, dirty: map[string]bool{},
		count: opts.MaxBatch, bytes: opts.MaxBytes,
	}
}

// Set replaces what is known of a work. It does not block.
func (r *Reporter) Set(observation agentv1alpha1.WorkObservation) {
	sum, size, err := digestOf(observation)
	if err != nil {
		return // a status that is no JSON cannot be sent either
	}
	if size > r.opts.MaxBytes && observation.Status != nil {
		observation = bare(observation, size)
		sum, size, _ = digestOf(observation)
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
	e.observation, e.digest, e.size = observation, sum, size
	e.refused, e.pause = false, 0
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
		e.pause = 0
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
	now := r.opts.Clock.Now()
	for name, e := range r.works {
		if e.refused && !now.Before(e.after) {
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
	// Agents that lost their server together do not stay together.
	repeat := r.opts.Clock.NewTicker(wait.Jitter(r.opts.Repeat*9/10, 2./9))
	defer repeat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-recheck.C():
			r.recheck()
			continue
		case <-repeat.C():
			r.Reset()
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
		if apierrors.IsRequestEntityTooLargeError(err) && r.shrink(batch) {
			continue
		}
		if err != nil {
			return err
		}
		more := r.grow(len(batch))
		for _, item := range rejected {
			klog.FromContext(ctx).V(2).Info("The federation did not take an observation", "work", item.Name, "reason", item.Reason)
		}
		if !more {
			return nil // what came meanwhile waits for its interval
		}
	}
}

// shrink makes the next report half of one that was too large, and gives up on a single observation that
// is too large without its status. It tells whether the next report may succeed.
func (r *Reporter) shrink(batch []agentv1alpha1.WorkObservation) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(batch) > 1 {
		total := 0
		for _, observation := range batch {
			if e := r.works[observation.Name]; e != nil {
				total += e.size
			}
		}
		r.count, r.bytes = len(batch)/2, min(r.bytes, max(1, total/2))
		return true
	}
	e := r.works[batch[0].Name]
	switch {
	case e == nil:
		return false
	case e.observation.Status == nil:
		e.taken = e.digest // it never will be, and is in the way of others
		delete(r.dirty, batch[0].Name)
		return true
	}
	e.observation = bare(e.observation, e.size)
	e.digest, e.size, _ = digestOf(e.observation)
	r.mark(batch[0].Name)
	return true
}

// grow lets the next report be larger again, after one that was taken. It tells whether what is left
// should have been in it.
func (r *Reporter) grow(sent int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	more := sent >= r.count || r.full
	r.count, r.bytes = min(2*r.count, r.opts.MaxBatch), min(2*r.bytes, r.opts.MaxBytes)
	return more
}

// bare is an observation without its status, which is too large to be sent.
func bare(observation agentv1alpha1.WorkObservation, size int) agentv1alpha1.WorkObservation {
	observation.Status = nil
	said := fmt.Sprintf("The object's status is not reported, it is too large (%d bytes)", size)
	if observation.Message != "" {
		said = observation.Message + ". " + said
	}
	observation.Message = said
	return observation
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
	batch := make([]agentv1alpha1.WorkObservation, 0, min(len(names), r.count))
	out := make(map[string]sent, min(len(names), r.count))
	total := 0
	r.full = false
	for _, name := range names {
		e := r.works[name]
		total += e.size
		if len(batch) > 0 && (len(batch) >= r.count || total > r.bytes) {
			r.full = true
			break
		}
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
		e.pause = min(max(2*e.pause, r.opts.Recheck), r.opts.MaxRecheck)
		e.after = r.opts.Clock.Now().Add(e.pause)
		if item.Reason == agentv1alpha1.RejectedInvalid {
			e.refused = false // as it is it never will be taken
		}
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

func digestOf(observation agentv1alpha1.WorkObservation) (digest, int, error) {
	raw, err := json.Marshal(observation)
	if err != nil {
		return digest{}, 0, err
	}
	return sha256.Sum256(raw), len(raw), nil
}
