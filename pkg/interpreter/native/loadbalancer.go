package native

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var ingress = Kind{
	ReflectStatus: reflectLoadBalancer,
	Health: func(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
		return healthyIf(hasAddress(obj)), nil
	},
	AggregateStatus: func(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
		return aggregateLoadBalancer(template, items, false)
	},
}

// balanced is the part of the status that Services and Ingresses share. The
// two APIs have a type each, alike but for ipMode, which only Services have.
type balanced struct {
	LoadBalancer corev1.LoadBalancerStatus `json:"loadBalancer"`
}

func hasAddress(obj *unstructured.Unstructured) bool {
	return len(list(child(status(obj), "loadBalancer"), "ingress")) > 0
}

func reflectLoadBalancer(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	if !hasAddress(obj) {
		return nil, nil
	}
	return encode(map[string]any{"loadBalancer": child(status(obj), "loadBalancer")})
}

// aggregateLoadBalancer lists the addresses of every cluster as they are
// reported, by cluster and then by value, each once.
func aggregateLoadBalancer(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem, ipModes bool) (bool, error) {
	members, err := decode[balanced](items)
	addresses := []any{}
	seen := map[string]bool{}
	for i := range members {
		entries := members[i].status.LoadBalancer.Ingress
		slices.SortFunc(entries, func(a, b corev1.LoadBalancerIngress) int {
			return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(ports(a), ports(b)))
		})
		for _, entry := range entries {
			key := fmt.Sprintf("%q %q %s", entry.IP, entry.Hostname, ports(entry))
			if seen[key] || (entry.IP == "" && entry.Hostname == "") {
				continue
			}
			seen[key] = true
			addresses = append(addresses, address(entry, ipModes))
		}
	}
	return setStatus(template, map[string]any{"loadBalancer": map[string]any{"ingress": addresses}}), err
}

// ports spells the ports of an address, to compare them.
func ports(entry corev1.LoadBalancerIngress) string {
	if len(entry.Ports) == 0 {
		return ""
	}
	raw, err := json.Marshal(entry.Ports)
	if err != nil {
		return ""
	}
	return string(raw)
}

// address writes one entry of an ingress list. A Service's must have an IP
// mode if and only if it has an IP; VIP is what API servers default it to.
func address(entry corev1.LoadBalancerIngress, ipModes bool) map[string]any {
	a := map[string]any{}
	if entry.IP != "" {
		a["ip"] = entry.IP
		if ipModes {
			a["ipMode"] = string(corev1.LoadBalancerIPModeVIP)
			if entry.IPMode != nil {
				a["ipMode"] = string(*entry.IPMode)
			}
		}
	}
	if entry.Hostname != "" {
		a["hostname"] = entry.Hostname
	}
	if len(entry.Ports) > 0 {
		entries := make([]any, len(entry.Ports))
		for i, p := range entry.Ports {
			port := map[string]any{"port": int64(p.Port), "protocol": string(p.Protocol)}
			if p.Error != nil {
				port["error"] = *p.Error
			}
			entries[i] = port
		}
		a["ports"] = entries
	}
	return a
}
