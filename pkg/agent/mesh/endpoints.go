package mesh

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
)

const (
	// enough services of a peer are looked at each time.
	enough = 3
	// stride is how many Services are read, and looked at, at a time; step is how long it
	// takes to the next ones.
	stride = 50
	step   = 5 * time.Second
)

// port is one of a service.
type port struct {
	host string
	port int32
}

// walk goes through the Services of this cluster, a few at a time, to find those that have
// pods in peers. Those are then looked at each time.
type walk struct {
	next  string // where the list goes on
	moved time.Time
	page  []port
	// unread is why the Services could not be read last; nil when they could.
	unread error
	// telling are services with something of a peer, by peer.
	telling map[string][]port
}

// looks are what is to be said about each peer.
type looks map[string]told

// told is what is to be said about one.
type told struct {
	telling []port
	verdict proof.Verdict
}

// verdict about a peer; nil when there is none.
func (l looks) verdict(peer string) *proof.Verdict {
	found, ok := l[peer]
	if !ok {
		return nil
	}
	return &found.verdict
}

// ask are the clusters, in Envoy's sense, to ask for.
func (s *walk) ask(ctx context.Context, w *worker, peers bool) []string {
	if !peers {
		*s = walk{}
		return nil
	}
	if now := w.now(); s.moved.IsZero() || now.Sub(s.moved) >= step {
		s.move(ctx, w, now)
	}
	var clusters []string
	for _, p := range s.ports() {
		clusters = append(clusters, istiod.ClusterName(p.host, p.port))
	}
	slices.Sort(clusters)
	return slices.Compact(clusters)
}

// ports are all that are looked at.
func (s *walk) ports() []port {
	all := slices.Clone(s.page)
	for _, ports := range s.telling {
		all = append(all, ports...)
	}
	return all
}

// move reads the next Services. What cannot be read is tried again; those that were read
// before are looked at meanwhile.
func (s *walk) move(ctx context.Context, w *worker, now time.Time) {
	services, next, err := w.agent.member.servicesFrom(ctx, stride, s.next)
	s.moved, s.unread = now, err
	if err != nil {
		if apierrors.IsResourceExpired(err) {
			s.next = ""
		}
		return
	}
	s.next, s.page = next, nil
	for i := range services {
		if p, ok := portOf(&services[i], w.agent.domain()); ok {
			s.page = append(s.page, p)
		}
	}
}

// portOf is the port of a Service to look at: preferably one of HTTP.
func portOf(s *corev1.Service, domain string) (port, bool) {
	if !callable(s) {
		return port{}, false
	}
	found := port{host: s.Name + "." + s.Namespace + ".svc." + domain}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Protocol == corev1.ProtocolUDP || p.Protocol == corev1.ProtocolSCTP {
			continue
		}
		if found.port == 0 {
			found.port = p.Port
		}
		if speaksHTTP(p) {
			found.port = p.Port
			break
		}
	}
	return found, found.port != 0
}

// take judges what istiods have answered.
func (s *walk) take(object *meshv1alpha1.MeshMember, spoken []heard) looks {
	found := looks{}
	telling := map[string][]port{}
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		var verdicts []proof.Verdict
		var tells []port
		for _, h := range spoken {
			if h.noneBy != nil {
				// It costs this proof only. What was seen before is not so any more.
				verdicts = append(verdicts, of(h, len(spoken), proof.Verdict{Reason: "NotAsked", Message: steady("istiod does not tell endpoints: " + h.noneBy.Error())}))
				continue
			}
			way := proof.WayTo(peer, object.Spec.Network, h.gateways)
			var looked []proof.Looked
			// Those that told something before come first.
			for _, p := range slices.Concat(s.telling[peer.Name], s.page) {
				endpoints := h.endpoints[istiod.ClusterName(p.host, p.port)]
				if !way.Tells(endpoints) {
					continue
				}
				looked = append(looked, proof.Looked{Host: p.host, Port: p.port, Endpoints: endpoints})
				if len(tells) < enough && !slices.Contains(tells, p) {
					tells = append(tells, p)
				}
			}
			if s.unread != nil && len(looked) == 0 && len(s.page) == 0 {
				// That there is nothing to look at is not known.
				verdicts = append(verdicts, proof.Verdict{Reason: "NotAsked", Message: steady("the agent does not know which services to ask for; it needs to list services: " + s.unread.Error())})
				continue
			}
			verdicts = append(verdicts, of(h, len(spoken), proof.Endpoints(looked, way)))
		}
		telling[peer.Name] = tells
		found[peer.Name] = told{telling: tells, verdict: proof.First(verdicts)}
	}
	s.telling = telling
	return found
}
