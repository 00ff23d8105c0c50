package mesh

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
)

const (
	// probesAtOnce limits how many gateways are tried at the same time.
	probesAtOnce = 8
	// probeTimeout is what all attempts at one gateway may take together.
	probeTimeout = 8 * time.Second
	// namesTried is how many services are tried at a gateway, of namesRead that are read.
	namesTried, namesRead = 8, 200
	// namesFor is how long own services are remembered.
	namesFor = 30 * time.Second
)

// probesSeen is what came out of probes by peer.
type probesSeen struct {
	generation int64
	peers      map[string]probed
	// untried is true when there was no certificate to try with.
	untried bool
}

// probed is what came out of probes of the gateways of a peer.
type probed struct {
	gateways []meshv1alpha1.GatewayAddress
	result   probe.Result
}

// probeTask tries to reach the gateways of peers.
type probeTask struct {
	worker *worker

	own     []string // server names of services of this cluster
	ownRead time.Time
	// lucky are the names that answered last, by peer.
	lucky map[string]string
}

func newProbeTask(w *worker) *probeTask { return &probeTask{worker: w, lucky: map[string]string{}} }

func (t *probeTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := &probesSeen{generation: object.Generation, peers: map[string]probed{}}
	who := t.worker.istiod.identity()
	var before map[string]probed
	if was := t.worker.view().probes; was != nil {
		before = was.peers
	}
	var group sync.WaitGroup
	places := make(chan struct{}, probesAtOnce)
	results := map[string][]probe.Result{}
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		if object.Spec.Leaving || len(peer.Gateways) == 0 {
			continue
		}
		if who == nil {
			// Without a certificate nothing can be tried; what was seen before stays.
			next.untried = true
			if was, ok := before[peer.Name]; ok && slices.Equal(was.gateways, peer.Gateways) {
				next.peers[peer.Name] = was
			}
			continue
		}
		names, found := t.names(ctx, peer.Name), make([]probe.Result, len(peer.Gateways))
		results[peer.Name] = found
		next.peers[peer.Name] = probed{gateways: peer.Gateways}
		for at, gateway := range peer.Gateways {
			group.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				ctx, cancel := context.WithTimeout(ctx, probeTimeout)
				defer cancel()
				found[at] = probe.Gateway(ctx, net.JoinHostPort(gateway.Address, strconv.Itoa(int(gateway.Port))), names, who)
			})
		}
	}
	group.Wait()
	if ctx.Err() != nil {
		return outcome{}
	}
	missing := next.untried
	for peer, found := range results {
		result := worst(found)
		missing = missing || !result.Passed
		if result.Name != "" {
			t.lucky[peer] = result.Name
		}
		result.Name = "" // which name answered is not news
		next.peers[peer] = probed{gateways: next.peers[peer].gateways, result: result}
	}
	return outcome{missing: missing, news: t.worker.saw(func(s *seen) { s.probes = next })}
}

// worst is the result that says the most about what is wrong: all gateways of a peer have
// to be good, because traffic goes to all of them.
func worst(results []probe.Result) probe.Result {
	weight := func(r probe.Result) int {
		switch {
		case !r.Passed:
			return 0
		case r.Reason != "":
			return 1
		default:
			return 2
		}
	}
	return slices.MinFunc(results, func(a, b probe.Result) int { return cmp.Compare(weight(a), weight(b)) })
}

// names are the server names to try at the gateway of a peer: the one that answered last,
// then services with pods there, then services of this cluster, of which the peer may have
// some, too.
func (t *probeTask) names(ctx context.Context, peer string) []string {
	var names []string
	if name := t.lucky[peer]; name != "" {
		names = append(names, name)
	}
	names = append(names, t.worker.istiod.names(peer)...)
	if len(names) < namesTried {
		t.readOwn(ctx)
		names = append(names, t.own...)
	}
	var distinct []string
	for _, name := range names {
		if len(distinct) < namesTried && !slices.Contains(distinct, name) {
			distinct = append(distinct, name)
		}
	}
	return distinct
}

func (t *probeTask) readOwn(ctx context.Context) {
	now := t.worker.now()
	if !t.ownRead.IsZero() && now.Sub(t.ownRead) < namesFor {
		return
	}
	services, err := t.worker.agent.member.services(ctx, "", "", namesRead)
	if err != nil {
		return // fewer names are tried; that Services cannot be read is said elsewhere
	}
	t.own, t.ownRead = nil, now
	for i := range services {
		if s := &services[i]; callable(s) && s.Namespace != meshv1alpha1.IstioNamespace {
			t.own = append(t.own, istiod.SNI(s.Name+"."+s.Namespace+".svc.cluster.local", s.Spec.Ports[0].Port))
		}
	}
	if len(t.own) == 0 {
		t.ownRead = time.Time{}
	}
}

// callable tells whether a Service is one that istiod gives endpoints for, and lets other
// namespaces and clusters call.
func callable(s *corev1.Service) bool {
	switch {
	case s.Namespace == systemNamespace, s.Namespace == "default" && s.Name == "kubernetes":
		return false // Istio keeps them within the cluster
	case s.Spec.Type == corev1.ServiceTypeExternalName, s.Spec.ClusterIP == corev1.ClusterIPNone, len(s.Spec.Ports) == 0:
		return false
	}
	exported, ok := s.Annotations["networking.istio.io/exportTo"]
	return !ok || exported == "*" || exported == ""
}

// systemNamespace is the namespace of Kubernetes itself.
const systemNamespace = "kube-system"
