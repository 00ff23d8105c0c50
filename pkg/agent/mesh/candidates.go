package mesh

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
)

const (
	// servicesRead is how many services of the own cluster are read for probes, and
	// candidatesFor is how long they are remembered.
	servicesRead  = 200
	candidatesFor = 30 * time.Second
)

// ownServices are services of this cluster that a peer may have, too.
type ownServices struct {
	candidates []probe.Candidate
	// http has the server names of ports that speak HTTP.
	http   map[string]bool
	domain string
	until  time.Time
}

// read reads them now and then. The domain of the cluster is that of names that are known.
func (o *ownServices) read(ctx context.Context, w *worker, known []string) {
	now := w.now()
	domain := domainOf(known)
	if domain == "" {
		domain = o.domain
	}
	if domain == "" {
		domain = "cluster.local"
	}
	if domain == o.domain && now.Before(o.until) {
		return
	}
	services, err := w.agent.member.services(ctx, "", "", servicesRead)
	if err != nil {
		o.domain, o.until = domain, now.Add(slow)
		return // fewer names are tried; that Services cannot be read is said elsewhere
	}
	o.set(services, domain)
	if o.until = now.Add(candidatesFor); len(o.candidates) == 0 {
		o.until = now.Add(slow)
	}
}

func (o *ownServices) set(services []corev1.Service, domain string) {
	o.candidates, o.http, o.domain = nil, map[string]bool{}, domain
	for i := range services {
		s := &services[i]
		if !callable(s) {
			continue
		}
		var best *probe.Candidate
		for j := range s.Spec.Ports {
			port := &s.Spec.Ports[j]
			if port.Protocol == corev1.ProtocolUDP || port.Protocol == corev1.ProtocolSCTP {
				continue
			}
			c := probe.Candidate{Name: istiod.SNI(s.Name+"."+s.Namespace+".svc."+domain, port.Port), HTTP: speaksHTTP(port)}
			if c.HTTP {
				o.http[c.Name] = true
			}
			if best == nil || c.HTTP && !best.HTTP {
				best = &c
			}
		}
		if best != nil && s.Namespace != meshv1alpha1.IstioNamespace {
			o.candidates = append(o.candidates, *best)
		}
	}
}

// domainOf is the domain of the cluster in server names; empty when there is none.
func domainOf(names []string) string {
	for _, name := range names {
		if _, domain, ok := strings.Cut(name, ".svc."); ok {
			return domain
		}
	}
	return ""
}

// speaksHTTP tells whether a port is one of HTTP, in the way in which Istio finds out.
func speaksHTTP(port *corev1.ServicePort) bool {
	protocol, _, _ := strings.Cut(port.Name, "-")
	if port.AppProtocol != nil {
		protocol = *port.AppProtocol
	}
	switch strings.ToLower(protocol) {
	case "http", "http2", "grpc", "kubernetes.io/h2c", "kubernetes.io/ws":
		return true
	}
	return false
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
