package mesh

import (
	"context"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/reader"
)

// worker does what one MeshMember asks for. Its tasks run beside each other, so that one
// that waits does not hold up the rest; what they have seen becomes the status.
type worker struct {
	agent *Agent
	name  string
	uid   types.UID
	stop  context.CancelFunc

	keeper *reader.Keeper
	istiod *istiodTask
	probes *probeTask
	nodes  *nodesTask
	// wakes has a channel for each task.
	wakes [tasks]chan struct{}

	mu     sync.Mutex
	object *meshv1alpha1.MeshMember
	seen   seen
	// changed is signalled when the status may have to be written.
	changed chan struct{}
}

// Places of tasks.
const (
	nodesTaskAt = iota
	clusterTaskAt
	tokenTaskAt
	istiodTaskAt
	probesTaskAt
	tasks
)

// seen is what the tasks have seen, each nil until its first look has ended. The parts are
// not changed once they are here.
type seen struct {
	cluster *clusterSeen
	token   *tokenSeen
	istiod  *istiodSeen
	probes  *probesSeen
	nodes   *nodesSeen
}

func newWorker(a *Agent, object *meshv1alpha1.MeshMember) *worker {
	w := &worker{agent: a, name: object.Name, uid: object.UID, object: object, changed: make(chan struct{}, 1)}
	w.keeper = &reader.Keeper{
		Mesh: object.Name, Server: a.member.server(a.InCluster), Member: a.member,
		Federation: &admitted{&tokenSecret{federation: a.federation, mesh: object.Name}, a.Admit}, Now: a.Clock.Now,
	}
	for i := range w.wakes {
		w.wakes[i] = make(chan struct{}, 1)
	}
	w.istiod = newIstiodTask(w)
	w.probes = newProbeTask(w)
	w.nodes = newNodesTask(w)
	return w
}

// run works until the context ends.
func (w *worker) run(ctx context.Context) {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("mesh", w.name))
	var group sync.WaitGroup
	cluster := &clusterTask{worker: w}
	for i, look := range [tasks]look{nodesTaskAt: w.nodes.look, clusterTaskAt: cluster.look, tokenTaskAt: w.lookAtToken, istiodTaskAt: w.istiod.look, probesTaskAt: w.probes.look} {
		group.Go(func() { w.repeat(ctx, w.wakes[i], look) })
	}
	group.Go(func() { w.write(ctx) })
	group.Wait()
	w.istiod.close()
	w.nodes.close()
	cluster.gatewayNodes.close()
}

// set takes another version of the MeshMember in.
func (w *worker) set(object *meshv1alpha1.MeshMember) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if older(object, w.object) {
		return // we have written since
	}
	same := w.object.Generation == object.Generation
	w.object = object
	signal(w.changed)
	if !same {
		w.wakeAll()
	}
}

// older tells whether a version of an object came before another.
func older(a, b *meshv1alpha1.MeshMember) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order < 0
}

// restored tells whether a MeshMember goes back behind the one that is known, as when the
// federation was restored from a backup. A watch may bring what was before our last write. A
// list does so only if it was on its way meanwhile; looking begins anew then, for nothing.
func restored(object, known *meshv1alpha1.MeshMember, listed bool) bool {
	if older(object, known) {
		return listed
	}
	return object.Generation < known.Generation
}

// wakeNodes makes the task for nodes look now.
func (w *worker) wakeNodes() { signal(w.wakes[nodesTaskAt]) }

// wakeCluster makes the task for the cluster look now.
func (w *worker) wakeCluster() { signal(w.wakes[clusterTaskAt]) }

// wakeAll makes all tasks look now.
func (w *worker) wakeAll() {
	for _, wake := range w.wakes {
		signal(wake)
	}
}

func (w *worker) current() *meshv1alpha1.MeshMember {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.object
}

// remote is the hash of the remote secret for a peer, as it was seen last.
func (w *worker) remote(peer string) string {
	if cluster := w.view().cluster; cluster != nil {
		return cluster.remotes[peer].hash
	}
	return ""
}

func (w *worker) now() time.Time { return w.agent.Clock.Now() }

// saw takes in what a task has seen, and returns whether that is news. Another message
// about the same is none.
func (w *worker) saw(set func(*seen)) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen
	set(&w.seen)
	if reflect.DeepEqual(before, w.seen) {
		return false
	}
	signal(w.changed)
	if before.cluster == nil && w.seen.cluster != nil || before.cluster != nil && !reflect.DeepEqual(before.cluster.remotes, w.seen.cluster.remotes) {
		signal(w.wakes[istiodTaskAt]) // what istiod says is about the secret before
	}
	was, is := report(w.object, before, "", time.Time{}), report(w.object, w.seen, "", time.Time{})
	return !equal(silenced(&was), silenced(&is))
}

// view is what was seen so far.
func (w *worker) view() seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// outcome of a look.
type outcome struct {
	// missing is true while something is not as it is to be.
	missing bool
	// news is true when something else was seen than before.
	news bool
	// at is when to look again at the latest; zero for no matter.
	at time.Time
}

// look is what a task does again and again. It takes a few seconds at most.
type look func(ctx context.Context, object *meshv1alpha1.MeshMember) outcome

func (w *worker) repeat(ctx context.Context, wake <-chan struct{}, look look) {
	var generation int64
	var since time.Time // of the last change
	for {
		object, began := w.current(), w.now()
		long := rested
		if !w.agent.Refused() {
			result := look(ctx, object)
			now := w.now()
			if result.news || object.Generation != generation {
				generation, since = object.Generation, now
			}
			switch {
			case result.missing && now.Sub(since) < hopeful:
				long = soon
			case result.missing:
				long = slow
			}
			long = wait.Jitter(long, 0.2)
			if !result.at.IsZero() {
				long = max(min(long, result.at.Sub(now)), soon)
			}
		}
		if !w.agent.pause(ctx, long, wake) {
			return
		}
		// What a look has done may wake it again; only a new wish is not made to wait.
		if early := soon - w.now().Sub(began); early > 0 && w.current().Generation == object.Generation && !w.agent.pause(ctx, early, nil) {
			return
		}
	}
}

// write keeps the status up to date until the context ends.
func (w *worker) write(ctx context.Context) {
	backoff, written := soon, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		}
		if w.agent.Refused() {
			w.retry(ctx, rested)
			continue
		}
		if wait := w.later(written); wait > 0 {
			// Only messages differ. What does not matter can wait; what does wakes us.
			w.agent.pause(ctx, wait, w.changed)
			signal(w.changed)
			continue
		}
		err := w.writeOnce(ctx)
		written = w.now()
		switch {
		case err == nil:
			backoff = soon
		case apierrors.IsNotFound(err):
			// The MeshMember is gone; we are told soon.
		default:
			if ctx.Err() == nil {
				klog.FromContext(ctx).V(1).Info("Cannot report about the mesh, will retry", "err", err, "after", backoff)
			}
			w.retry(ctx, wait.Jitter(backoff, 0.2))
			backoff = min(2*backoff, 2*rested)
		}
	}
}

// later is how long the status need not be written, after the last time: nothing but
// messages is different.
func (w *worker) later(written time.Time) time.Duration {
	now, object := w.now(), w.current()
	status := report(object, w.view(), w.agent.Cluster, now)
	if written.IsZero() || equal(&status, &object.Status) || !equal(silenced(&status), silenced(&object.Status)) {
		return 0
	}
	return messagesEvery - now.Sub(written)
}

func (w *worker) retry(ctx context.Context, after time.Duration) {
	w.agent.pause(ctx, after, nil)
	signal(w.changed)
}

// writeOnce writes the status if it is not what is there.
func (w *worker) writeOnce(ctx context.Context) error {
	object := w.current()
	for attempt := 0; ; attempt++ {
		status := report(object, w.view(), w.agent.Cluster, w.now())
		limit(&status)
		if equal(&status, &object.Status) {
			return nil
		}
		next := object.DeepCopy()
		next.Status = status
		written, err := w.agent.federation.updateStatus(ctx, next)
		if err == nil {
			w.wrote(written)
			return nil
		}
		if !apierrors.IsConflict(err) || attempt == 3 {
			return err
		}
		if object, err = w.agent.federation.get(ctx, w.name); err != nil {
			return err
		}
		if object.UID != w.uid {
			return nil // another of that name, which gets its own worker
		}
	}
}

// wrote takes in what the federation has now, unless something newer is known already. What
// a restored federation has is listed soon.
func (w *worker) wrote(written *meshv1alpha1.MeshMember) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if restored(written, w.object, true) {
		return
	}
	same := w.object.Generation == written.Generation
	w.object = written
	if !same {
		w.wakeAll()
	}
}
