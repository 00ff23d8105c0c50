package istiod

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	// Selector finds the Services of istiods.
	Selector = "app=istiod"
	// revisionLabel tells the istiods of a cluster apart.
	revisionLabel = "istio.io/rev"
	// ServerName is the name in the certificate of every istiod of istio-system.
	ServerName = "istiod." + meshv1alpha1.IstioNamespace + ".svc"
)

// ErrNotInstalled means that no Service is one of an istiod.
var ErrNotInstalled = errors.New("no Istio is installed")

// ErrNoAddress means that the Service of istiod is there, but leads nowhere.
var ErrNoAddress = errors.New("istiod has no address")

// Location is where an istiod is reached.
type Location struct {
	// Secure is the host:port of xDS and the CA, over TLS.
	Secure string
	// Monitoring is the host:port of the version; empty when there is none.
	Monitoring string
	// Name is that of its pod; empty when it is not known.
	Name string
}

// String is what people know an istiod by.
func (l Location) String() string { return cmp.Or(l.Name, l.Secure) }

// Locate finds the istiod of a cluster among the Services with Selector: that of the
// revision default, or else of no revision, or else the first by name. Outside says
// that the cluster's own names and addresses are not reached from here.
//
// ErrNotInstalled or ErrNoAddress when there is none.
func Locate(services []corev1.Service, outside bool) (Location, error) {
	if len(services) == 0 {
		return Location{}, fmt.Errorf("%w: no Service with label %s in namespace %s", ErrNotInstalled, Selector, meshv1alpha1.IstioNamespace)
	}
	service := slices.MinFunc(services, func(a, b corev1.Service) int {
		if d := rank(&a) - rank(&b); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	host := service.Name + "." + service.Namespace + ".svc"
	if outside {
		if host = balancer(&service); host == "" {
			return Location{}, fmt.Errorf("%w: Service %s/%s is not reached from outside of the cluster, where its agent runs; run the agent in the cluster (mode Pull), or make the Service one of type LoadBalancer", ErrNoAddress, service.Namespace, service.Name)
		}
	}
	secure := port(&service, "https-dns", 15012)
	if secure == 0 {
		return Location{}, fmt.Errorf("%w: Service %s/%s has no port https-dns (15012)", ErrNoAddress, service.Namespace, service.Name)
	}
	at := Location{Secure: net.JoinHostPort(host, strconv.Itoa(int(secure)))}
	if monitoring := port(&service, "http-monitoring", 15014); monitoring != 0 {
		at.Monitoring = net.JoinHostPort(host, strconv.Itoa(int(monitoring)))
	}
	return at, nil
}

func rank(service *corev1.Service) int {
	switch service.Labels[revisionLabel] {
	case "default":
		return 0
	case "":
		return 1
	default:
		return 2
	}
}

func balancer(service *corev1.Service) string {
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if ingress.IP != "" {
			return ingress.IP
		}
		if ingress.Hostname != "" {
			return ingress.Hostname
		}
	}
	return ""
}

// port is that of a Service by name, or else by number; 0 when it has neither.
func port(service *corev1.Service, name string, number int32) int32 {
	found := int32(0)
	for _, p := range service.Spec.Ports {
		switch {
		case p.Name == name:
			return p.Port
		case p.Port == number:
			found = number
		}
	}
	return found
}

// Slice is what is of use of an EndpointSlice of discovery.k8s.io/v1.
type Slice struct {
	Endpoints []struct {
		Addresses  []string
		Conditions struct{ Ready *bool }
		TargetRef  *struct{ Name string }
	}
	Ports []struct {
		Name *string
		Port *int32
	}
}

// maxReplicas bounds how many istiods are asked.
const maxReplicas = 16

// Ready are the istiods that are ready, each once, in order.
func Ready(all []Slice) []Location {
	found := map[string]Location{}
	for i := range all {
		var secure, monitoring int32
		for _, p := range all[i].Ports {
			switch {
			case p.Name == nil || p.Port == nil:
			case *p.Name == "https-dns":
				secure = *p.Port
			case *p.Name == "http-monitoring":
				monitoring = *p.Port
			}
		}
		for _, e := range all[i].Endpoints {
			if secure == 0 || len(e.Addresses) == 0 || e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			at := Location{Secure: net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(secure)))}
			if monitoring != 0 {
				at.Monitoring = net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(monitoring)))
			}
			if e.TargetRef != nil {
				at.Name = e.TargetRef.Name
			}
			found[at.Secure] = at
		}
	}
	locations := slices.SortedFunc(maps.Values(found), func(a, b Location) int { return strings.Compare(a.Secure, b.Secure) })
	// One in a cluster of two families of addresses is there with both.
	pods := map[string]bool{}
	locations = slices.DeleteFunc(locations, func(l Location) bool {
		again := l.Name != "" && pods[l.Name]
		pods[l.Name] = true
		return again
	})
	return locations[:min(len(locations), maxReplicas)]
}
