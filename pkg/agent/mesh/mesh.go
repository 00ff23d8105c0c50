package mesh

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// How often is looked.
const (
	// soon is while something is missing, for as long as hopeful after the last change;
	// slow is after that, and rested when all is well.
	soon    = time.Second
	hopeful = 2 * time.Minute
	slow    = 5 * time.Second
	rested  = 15 * time.Second
	// absent is how often a federation is asked that does not serve meshes.
	absent = time.Minute
)

// requestTimeout bounds every request that is not a watch.
const requestTimeout = 5 * time.Second

// Options of an Agent. All but InCluster, NoLocalities and Brought are needed.
type Options struct {
	// Cluster is the name of the member.
	Cluster string
	// Federation and Member are the API servers, and HTTP clients for them.
	Federation, Member         *rest.Config
	FederationHTTP, MemberHTTP *http.Client
	// Metadata reads the member's nodes.
	Metadata metadata.Interface
	// InCluster says that this process runs in the member, where the names of Services
	// are known.
	InCluster bool
	// NoLocalities leaves the labels of nodes alone; they are only read.
	NoLocalities bool
	// Admit fails unless the federation that answers is the agent's own. It is asked
	// before each list.
	Admit func(context.Context) error
	// Refused tells whether another federation answers at the moment.
	Refused func() bool
	// Brought are the Works whose names begin with a prefix and of which something may be
	// in the member, and whether that waits for a person. Nil knows of none.
	Brought func(prefix string) (works []string, held bool)
	// Clock for the age of tokens and for pauses.
	Clock clock.WithTicker
}

// Agent does what the MeshMembers of a cluster ask for.
type Agent struct {
	Options

	federation *federation
	member     *member
	plain      *http.Client // for the version of istiod

	mu      sync.Mutex
	members map[string]*worker
	// ended is closed when the last worker of a name has ended.
	ended map[string]chan struct{}
	group sync.WaitGroup

	// Labels of the namespace and of nodes are written for one mesh at a time.
	labelling, locating sync.Mutex
}

// New wires an Agent. It connects to nothing yet.
func New(options Options) (*Agent, error) {
	a := &Agent{Options: options, members: map[string]*worker{}, ended: map[string]chan struct{}{}}
	var err error
	if a.federation, err = newFederation(options.Federation, options.FederationHTTP, names.ExecutionNamespace(options.Cluster)); err != nil {
		return nil, fmt.Errorf("client of the federation for meshes: %w", err)
	}
	if a.member, err = newMember(options.Member, options.MemberHTTP); err != nil {
		return nil, fmt.Errorf("client of the member for meshes: %w", err)
	}
	a.plain = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return a, nil
}

// Run works until the context ends. Call it once.
func (a *Agent) Run(ctx context.Context) {
	a.follow(ctx)
	a.mu.Lock()
	for name, w := range a.members {
		w.stop()
		delete(a.members, name)
	}
	a.mu.Unlock()
	a.group.Wait()
}

// set takes MeshMembers in, all before anything is done about one: label and localities
// depend on which there are. Listed says that they are as they are now, whatever their
// versions.
func (a *Agent) set(ctx context.Context, listed bool, objects ...*meshv1alpha1.MeshMember) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil {
		return // workers would outlive Run
	}
	for _, object := range objects {
		w := a.members[object.Name]
		if w != nil && w.uid == object.UID && !restored(object, w.current(), listed) {
			w.set(object)
			continue
		}
		if w != nil {
			w.stop() // another of that name, or what was seen is about another
		}
		a.start(ctx, object)
	}
}

// start runs a worker, after the last one of that name has ended, under the lock.
func (a *Agent) start(ctx context.Context, object *meshv1alpha1.MeshMember) {
	w, before, ended := newWorker(a, object), a.ended[object.Name], make(chan struct{})
	a.members[object.Name], a.ended[object.Name] = w, ended
	ctx, w.stop = context.WithCancel(ctx)
	a.group.Go(func() {
		defer close(ended)
		if before != nil {
			<-before
		}
		w.run(ctx)
	})
}

// drop forgets a MeshMember that is gone. What was written stays: a cluster is asked to
// leave before that (spec.leaving), and a MeshMember that vanishes otherwise is no such
// request.
func (a *Agent) drop(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.members[name]; w != nil {
		w.stop()
		delete(a.members, name)
	}
}

// kept drops all but some.
func (a *Agent) kept(names map[string]bool) {
	a.mu.Lock()
	var gone []string
	for name := range a.members {
		if !names[name] {
			gone = append(gone, name)
		}
	}
	a.mu.Unlock()
	for _, name := range gone {
		a.drop(name)
	}
}

// holder is the MeshMember that the marks of the cluster (the label of its network,
// localities) are for: the oldest that stays, or nil when none does. While a cluster goes
// from one Mesh to another it has two.
func (a *Agent) holder() *meshv1alpha1.MeshMember {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found *meshv1alpha1.MeshMember
	for _, w := range a.members {
		m := w.current()
		switch {
		case m.Spec.Leaving:
		case found == nil,
			m.CreationTimestamp.Before(&found.CreationTimestamp),
			m.CreationTimestamp.Equal(&found.CreationTimestamp) && m.Name < found.Name:
			found = m
		}
	}
	return found
}
