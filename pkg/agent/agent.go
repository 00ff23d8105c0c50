package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/apply"
	"github.com/flotilla-io/flotilla/pkg/agent/heartbeat"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh"
	"github.com/flotilla-io/flotilla/pkg/agent/status"
)

// Agent serves one member.
type Agent struct {
	opts       Options
	store      *inventory.Store
	federation *federation
	memberCore rest.Interface
	metadata   metadata.Interface
	connected  []*http.Client

	kinds     *kinds.Kinds
	engine    *apply.Engine
	reporter  *status.Reporter
	probe     *heartbeat.Probe
	capacity  *heartbeat.Capacity
	writer    *heartbeat.Writer
	admission *admission
	intake    *intake
	mesh      *mesh.Agent // nil with NoMesh

	// scan is closed after the first full list.
	scan     chan struct{}
	scanOnce sync.Once
	register chan struct{}
	// used has a token that has confirmed deletions.
	used chan string
}

// New wires an Agent. It connects to nothing yet.
func New(opts Options) (*Agent, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	a := &Agent{opts: opts, scan: make(chan struct{}), register: make(chan struct{}, 1), used: make(chan string, 1)}
	var err error
	if a.store, err = inventory.Open(opts.StateDir); err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	member, err := a.connect(scheme)
	if err != nil {
		return nil, err
	}
	a.wire(member)
	if err := a.wireMesh(); err != nil {
		return nil, err
	}
	return a, nil
}

// unlimited leaves the pace to the API servers' own fairness.
func unlimited(config *rest.Config) *rest.Config {
	out := rest.CopyConfig(config)
	out.QPS, out.RateLimiter = -1, nil
	// Warnings are about what manifests use or what a scan reads; nobody reads them here.
	out.WarningHandler = rest.NoWarnings{}
	if out.UserAgent == "" {
		out.UserAgent = "flotilla-agent"
	}
	return out
}

func (a *Agent) connect(scheme *runtime.Scheme) (*apply.Member, error) {
	up, down := unlimited(a.opts.Federation), unlimited(a.opts.Member)
	upClient, err := rest.HTTPClientFor(up)
	if err != nil {
		return nil, fmt.Errorf("connection to the federation: %w", err)
	}
	downClient, err := rest.HTTPClientFor(down)
	if err != nil {
		return nil, fmt.Errorf("connection to the member: %w", err)
	}
	a.connected = []*http.Client{upClient, downClient}
	if a.federation, err = newFederation(up, upClient, scheme, a.opts.ClusterName); err != nil {
		return nil, err
	}
	if a.memberCore, err = clientFor(down, downClient, scheme, corev1.SchemeGroupVersion, runtime.ContentTypeProtobuf); err != nil {
		return nil, fmt.Errorf("client of the member: %w", err)
	}
	if a.metadata, err = metadata.NewForConfigAndClient(down, downClient); err != nil {
		return nil, fmt.Errorf("client of the member: %w", err)
	}
	return apply.NewMember(down, downClient)
}

func (a *Agent) wire(member *apply.Member) {
	realClock := clock.RealClock{}
	a.kinds = kinds.New(kinds.Options{Fetch: kinds.Fetch(a.memberCore)})
	a.reporter = status.New(status.Options{Post: a.post})
	a.engine = apply.NewEngine(apply.Options{
		Cluster: a.opts.ClusterName, Namespace: names.ExecutionNamespace(a.opts.ClusterName),
		Member: member, Kinds: a.kinds, Interpreter: a.opts.Interpreter, Workers: a.opts.Workers,
		Report: a.observe, Save: a.store.Put, Drop: a.store.Delete,
	})
	a.writer = heartbeat.NewWriter(heartbeat.WriterOptions{
		Clusters: a.federation.cluster, Observe: a.observed, OnRead: a.readCluster, Interval: a.opts.Heartbeat,
		PollOften: func() bool { return a.intake.holding() },
	})
	a.probe = &heartbeat.Probe{
		Client: a.memberCore, Interval: a.opts.Heartbeat, Tolerance: 3 * a.opts.Heartbeat, OnChange: a.writer.Soon, Clock: realClock,
	}
	a.capacity = heartbeat.NewCapacity()
	a.capacity.OnChange = a.capacityChanged()
	a.kinds.OnChange(a.writer.Soon)
	a.admission = &admission{
		uid: a.federation.uid, known: a.store.Federation, remember: a.store.SetFederation, accept: a.opts.AcceptFederationUID,
		serve:      a.serveFor,
		onRefused:  func() { a.engine.Pause(); a.askRegistration(); a.writer.Soon() },
		onAdmitted: func() { a.engine.Resume(); a.writer.Reread() },
	}
	a.intake = &intake{
		engine: a.engine, guard: *a.opts.Guard, listed: map[string]bool{}, ended: map[string]bool{},
		stay:     &membership{cluster: a.federation.cluster.Get, known: a.store.Cluster, remember: a.store.SetCluster},
		remember: a.rememberHold, secondLook: a.opts.secondLook, now: realClock.Now, doubted: map[string]time.Time{}, missing: make(chan struct{}, 1),
		onList: a.reporter.Reset, onHold: a.writer.Soon, onWork: a.reporter.Listed,
		onListed: func() { a.scanOnce.Do(func() { close(a.scan) }) },
	}
}

// serveFor tells the engine whose works these are.
func (a *Agent) serveFor(federation types.UID) {
	former, err := a.store.FormerFederations()
	if err != nil {
		former = nil // what they brought is left alone then
	}
	a.engine.Serve(federation, former)
}

func (a *Agent) rememberHold(nonce string) {
	if err := a.store.SetHold(nonce); err != nil {
		klog.Background().Error(err, "Cannot remember what token was used; after a restart there is another one", "cluster", a.opts.ClusterName)
	}
}

// capacityChanged writes the first numbers at once, and later ones when it is time.
func (a *Agent) capacityChanged() func() {
	var written atomic.Bool
	return func() {
		if !written.Load() {
			if nodes, _ := a.capacity.Summary(); nodes != nil && written.CompareAndSwap(false, true) {
				a.writer.Soon()
				return
			}
		}
		a.writer.Later()
	}
}

// Run works until the context ends, and returns nil then. It fails only when something has to be set
// right by a person: the cluster's name belongs to another member (heartbeat.ErrNameTaken) or is
// registered for the other mode (heartbeat.ErrMode), or the state directory is about another cluster
// (ErrOtherMember). Call it once.
func (a *Agent) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", a.opts.ClusterName))
	logger := klog.FromContext(ctx)
	records, broken := a.store.Load()
	for _, err := range broken {
		logger.Error(err, "Part of the inventory is lost; the federation and a scan of the cluster make up for it")
	}
	a.engine.Restore(records)
	if known, err := a.store.Federation(); err == nil && known != "" {
		a.serveFor(known)
	}
	if nonce, err := a.store.Hold(); err == nil {
		a.intake.hold.nonce = nonce
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var fatal error // written before cancel, read after all have ended
	together(ctx,
		a.kinds.Run,
		func(ctx context.Context) { a.kinds.WatchDefinitions(ctx, a.metadata) },
		a.probe.Run,
		func(ctx context.Context) { a.capacity.Watch(ctx, a.memberCore) },
		func(ctx context.Context) {
			if fatal = a.serve(ctx); fatal != nil {
				cancel()
			}
		},
	)
	for _, client := range a.connected {
		client.CloseIdleConnections()
	}
	return fatal
}

// together runs functions beside each other until all have ended.
func together(ctx context.Context, functions ...func(context.Context)) {
	var group sync.WaitGroup
	for _, run := range functions {
		group.Go(func() { run(ctx) })
	}
	group.Wait()
}

// serve touches objects and the federation, once it is certain which cluster answers.
func (a *Agent) serve(ctx context.Context) error {
	var id types.UID
	err := a.persist(ctx, "Cannot tell which cluster this is", func(ctx context.Context) (err error, final bool) {
		if id, err = a.memberID(ctx); err != nil {
			return err, false
		}
		err = checkMember(a.store, a.opts.StateDir, id)
		return err, errors.Is(err, ErrOtherMember)
	})
	if err != nil || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var fatal error
	together(ctx, a.engine.Run, func(ctx context.Context) {
		if fatal = a.federate(ctx, id); fatal != nil {
			cancel()
		}
	})
	return fatal
}

// federate registers the cluster and then runs what talks to the federation. It fails only if the
// cluster's name is not this member's.
func (a *Agent) federate(ctx context.Context, id types.UID) error {
	if err := a.registerAs(ctx, id, true); err != nil || ctx.Err() != nil {
		return err
	}
	heart := &heartbeat.Heart{
		Leases: a.federation.lease, Cluster: a.opts.ClusterName, Holder: a.opts.Holder,
		Interval: a.opts.Heartbeat, OnRecovered: a.writer.Reread, Clock: clock.RealClock{},
	}
	together(ctx,
		heart.Run,
		a.writer.Run,
		a.reporter.Run,
		func(ctx context.Context) { a.intake.follow(ctx, a.federation, a.admission.admit) },
		func(ctx context.Context) { a.intake.confirmGone(ctx, a.listAgain) },
		a.scanOrphans,
		a.unconfirm,
		func(ctx context.Context) { a.registerAgain(ctx, id) },
		func(ctx context.Context) {
			if a.mesh != nil {
				a.mesh.Run(ctx)
			}
		},
	)
	return nil
}

// persist tries until it works, is final, or the context ends. Only a final error is returned.
func (a *Agent) persist(ctx context.Context, what string, try func(context.Context) (err error, final bool)) error {
	backoff := wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Steps: 7, Cap: 10 * time.Second, Jitter: 0.3}
	for ctx.Err() == nil {
		err, final := try(ctx)
		if err == nil || final {
			return err
		}
		after := backoff.Step()
		if ctx.Err() == nil {
			klog.FromContext(ctx).Info(what+", will retry", "err", err, "after", after)
		}
		select {
		case <-ctx.Done():
		case <-time.After(after):
		}
	}
	return nil
}

// memberID tells this member from every other cluster.
func (a *Agent) memberID(ctx context.Context) (types.UID, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	namespace := &corev1.Namespace{}
	if err := a.memberCore.Get().Resource("namespaces").Name(names.FederationUIDNamespace).Do(ctx).Into(namespace); err != nil {
		return "", fmt.Errorf("the cluster's identity, namespace %s: %w", names.FederationUIDNamespace, err)
	}
	return namespace.UID, nil
}

// registerAs tries until the cluster is registered. With strict, a name that is not ours ends it.
func (a *Agent) registerAs(ctx context.Context, id types.UID, strict bool) error {
	return a.persist(ctx, "Cannot register the cluster", func(ctx context.Context) (error, bool) {
		err := heartbeat.Register(ctx, a.federation.cluster, heartbeat.Registration{
			Name: a.opts.ClusterName, ID: string(id), SyncMode: a.opts.SyncMode,
			Region: a.opts.Region, Provider: a.opts.Provider, Zones: a.opts.Zones, Labels: a.opts.Labels,
		})
		return err, strict && (errors.Is(err, heartbeat.ErrNameTaken) || errors.Is(err, heartbeat.ErrMode))
	})
}

func (a *Agent) askRegistration() {
	select {
	case a.register <- struct{}{}:
	default:
	}
}

// registerAgain registers with a federation that took the place of ours, so that its Cluster can say
// why nothing happens, and with ours when it has let us in anew.
func (a *Agent) registerAgain(ctx context.Context, id types.UID) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.register:
		case <-a.opts.Joined:
		}
		if err := a.registerAs(ctx, id, false); err == nil {
			a.writer.Reread()
		}
	}
}

func (a *Agent) scanOrphans(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-a.scan:
	}
	for a.kinds.Snapshot() == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	s := &scanner{
		namespace: names.ExecutionNamespace(a.opts.ClusterName), kinds: a.kinds, scan: a.engine.Scan, owns: a.engine.Owns,
	}
	defer a.intake.scanned()
	found := s.find(ctx)
	if len(found) == 0 {
		return
	}
	// The list that the works came from may have been one of an API server that was behind.
	select {
	case <-ctx.Done():
		return
	case <-time.After(a.opts.secondLook):
	}
	present := map[string]bool{}
	err := a.persist(ctx, "Cannot look for the works of orphans", func(ctx context.Context) (error, bool) {
		list, err := a.listAgain(ctx)
		if err != nil {
			return err, false
		}
		for _, work := range list.Items {
			present[work.Name] = true
		}
		return nil, false
	})
	if err == nil && ctx.Err() == nil {
		a.intake.orphans(found, present)
	}
}

// listAgain reads all works, beside the list that is taken in. It is known to be from our federation, and
// from the stay of the cluster that the last list was from.
func (a *Agent) listAgain(ctx context.Context) (*workv1alpha1.WorkList, error) {
	list, err := a.federation.listWorks(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.admission.admit(ctx); err != nil {
		return nil, err
	}
	return list, a.intake.stay.unchanged(ctx)
}

// observe turns what the engine sees into what the federation hears.
func (a *Agent) observe(seen apply.Observation) {
	if seen.Gone {
		a.reporter.Forget(seen.Work)
		return
	}
	a.reporter.Set(agentv1alpha1.WorkObservation{
		Name: seen.Work, UID: seen.UID, Applied: seen.Applied, Reason: seen.Reason, Message: seen.Message,
		Status: seen.Status, Health: seen.Health,
	})
}

func (a *Agent) post(ctx context.Context, works []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	if a.admission.wrong() {
		return nil, ErrOtherFederation
	}
	return a.federation.post(ctx, works)
}

// observed is what the Cluster's status should say.
func (a *Agent) observed() heartbeat.Observed {
	out := heartbeat.Observed{Version: a.probe.Version(), Conditions: map[string]metav1.Condition{}}
	out.NodeSummary, out.ResourceSummary = a.capacity.Summary()
	refused := a.admission.condition(a.opts.ClusterName)
	ready := a.probe.Ready()
	if refused.Status != "" {
		ready = refused
	}
	if ready.Status != "" {
		out.Conditions[clusterv1alpha1.ClusterConditionReady] = ready
	}
	out.Conditions[ConditionFederationAccepted] = refused
	out.Conditions[ConditionStateKept] = a.stateCondition()
	out.Conditions[ConditionIdentity] = a.identityCondition()
	select {
	case <-a.scan:
		out.Conditions[names.ConditionDeletionsHeld] = a.intake.heldCondition(a.opts.ClusterName)
	default: // what was held before this start may still be
	}
	if snapshot := a.kinds.Snapshot(); snapshot != nil {
		out.Enablements = snapshot.Enablements()
		out.Conditions[clusterv1alpha1.ClusterConditionCompleteAPIEnablements] = heartbeat.Complete(snapshot.Complete, snapshot.Stale)
	}
	return out
}

func (a *Agent) readCluster(cluster *clusterv1alpha1.Cluster) {
	token := cluster.Annotations[ConfirmDeletionsAnnotation]
	if a.intake.confirm(token) {
		select {
		case a.used <- token:
		default: // it does not confirm anything again
		}
		a.writer.Soon()
	}
}

// unconfirm takes used tokens off the Cluster, for those who read it: they do not count again anyway.
func (a *Agent) unconfirm(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case token := <-a.used:
			if err := a.federation.dropAnnotation(ctx, ConfirmDeletionsAnnotation, token); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).V(1).Info("Cannot take the used confirmation off the Cluster", "annotation", ConfirmDeletionsAnnotation, "err", err)
			}
			a.writer.Reread()
		}
	}
}
