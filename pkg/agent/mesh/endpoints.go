package mesh

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
)

const (
	// enough services are looked at for a peer.
	enough = 3
	// servicesFor is how long a Service is remembered.
	servicesFor = time.Minute
)

// askEndpoints finds services with pods in peers, and looks at what proxies get for them.
func (t *istiodTask) askEndpoints(ctx context.Context, object *meshv1alpha1.MeshMember, peers []*meshv1alpha1.MemberPeer, gateways []istiod.Gateway, next *istiodSeen) error {
	if len(peers) == 0 {
		t.judged = nil
		return nil
	}
	now := t.worker.now()
	if now.Before(t.notBefore) && t.judgedAll(peers) {
		t.give(peers, next)
		return nil
	}
	judged, size, err := t.judge(ctx, object, peers, gateways)
	if err == nil && failsAny(judged) && !t.failedBefore(judged) {
		// Pods that came or went between two questions look like a fault. Once more.
		judged, size, err = t.judge(ctx, object, peers, gateways)
	}
	if err != nil {
		return err
	}
	t.judged = judged
	t.notBefore = now.Add(time.Duration(size>>20) * perMiB)
	t.give(peers, next)
	return nil
}

func (t *istiodTask) judgedAll(peers []*meshv1alpha1.MemberPeer) bool {
	return !slices.ContainsFunc(peers, func(p *meshv1alpha1.MemberPeer) bool { return t.judged[p.Name] == nil })
}

func (t *istiodTask) give(peers []*meshv1alpha1.MemberPeer, next *istiodSeen) {
	for _, peer := range peers {
		proofs := next.proofs[peer.Name]
		proofs.endpoints = t.judged[peer.Name]
		next.proofs[peer.Name] = proofs
	}
}

func failsAny(judged map[string]*proof.Verdict) bool {
	for _, verdict := range judged {
		if !verdict.Passed {
			return true
		}
	}
	return false
}

// failedBefore tells whether all that fails has failed at the last look, too.
func (t *istiodTask) failedBefore(judged map[string]*proof.Verdict) bool {
	for peer, verdict := range judged {
		if was := t.judged[peer]; !verdict.Passed && (was == nil || was.Passed) {
			return false
		}
	}
	return true
}

// judge asks for the pods first: those that a proxy has are not older.
func (t *istiodTask) judge(ctx context.Context, object *meshv1alpha1.MeshMember, peers []*meshv1alpha1.MemberPeer, gateways []istiod.Gateway) (map[string]*proof.Verdict, int, error) {
	services := &proof.Services{Network: object.Spec.Network}
	for _, peer := range peers {
		services.Peers = append(services.Peers, peer.Name)
	}
	size, err := bounded(ctx, func(ctx context.Context) (int, error) { return t.session.Shards(ctx, services.Visit) })
	if err != nil {
		return nil, 0, err
	}
	looked := map[string][]proof.Looked{}
	var clusters []string
	for _, peer := range peers {
		for _, service := range services.Of(peer.Name) {
			if len(looked[peer.Name]) == enough {
				break
			}
			port, pods := t.services.port(ctx, t.worker, &service)
			if port == 0 {
				continue
			}
			looked[peer.Name] = append(looked[peer.Name], proof.Looked{Host: service.Host, Port: port, Pods: pods})
			clusters = append(clusters, istiod.ClusterName(service.Host, port))
		}
		t.know(peer.Name, looked[peer.Name])
	}
	endpoints := map[string][]istiod.Endpoint{}
	if len(clusters) > 0 {
		slices.Sort(clusters)
		endpoints, err = bounded(ctx, func(ctx context.Context) (map[string][]istiod.Endpoint, error) {
			return t.session.Endpoints(ctx, slices.Compact(clusters))
		})
		if err != nil {
			return nil, 0, err
		}
	}
	judged := map[string]*proof.Verdict{}
	for _, peer := range peers {
		for i := range looked[peer.Name] {
			l := &looked[peer.Name][i]
			l.Endpoints = endpoints[istiod.ClusterName(l.Host, l.Port)]
		}
		verdict := proof.Endpoints(looked[peer.Name], peer.Name, peer.Network, peer.Network == object.Spec.Network, gateways)
		judged[peer.Name] = &verdict
	}
	return judged, size, nil
}

// know keeps server names for probes.
func (t *istiodTask) know(peer string, looked []proof.Looked) {
	var names []string
	for i := range looked {
		names = append(names, istiod.SNI(looked[i].Host, looked[i].Port))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[peer] = names
}

// serviceCache has ports of Services of this cluster, which istiod's pages do not tell.
type serviceCache struct {
	found map[string]cachedService
}

type cachedService struct {
	until time.Time
	ports []corev1.ServicePort // none: it is not there, or not of use
}

// port is a port of a service with pods in the peer, and these pods; 0 when the Service is
// not in this cluster, or is none that istiod gives endpoints for.
func (c *serviceCache) port(ctx context.Context, w *worker, service *proof.Service) (int32, proof.Pods) {
	key, now := service.Namespace+"/"+service.Name, w.now()
	cached, ok := c.found[key]
	if !ok || !now.Before(cached.until) {
		cached = cachedService{until: now.Add(servicesFor)}
		object, err := w.agent.member.service(ctx, service.Namespace, service.Name)
		if err != nil {
			cached.until = now.Add(soon) // it may come at any time
		} else if callable(object) {
			cached.ports = object.Spec.Ports
		}
		c.keep(key, cached, now)
	}
	for _, port := range cached.ports {
		if pods, ok := service.Ports[port.Name]; ok && len(pods.Peer) > 0 {
			return port.Port, pods
		}
	}
	return 0, proof.Pods{}
}

func (c *serviceCache) keep(key string, service cachedService, now time.Time) {
	if c.found == nil {
		c.found = map[string]cachedService{}
	}
	for other, old := range c.found {
		if !now.Before(old.until) {
			delete(c.found, other)
		}
	}
	c.found[strings.Clone(key)] = service
}
