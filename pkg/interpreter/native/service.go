package native

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var service = Kind{
	ReflectStatus:   reflectService,
	Health:          serviceHealth,
	AggregateStatus: aggregateService,
	Prune:           pruneService,
}

func isLoadBalancer(obj *unstructured.Unstructured) bool {
	return text(spec(obj), "type") == "LoadBalancer"
}

// reflectService reports addresses. Other types than LoadBalancer have no
// status.
func reflectService(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	if !isLoadBalancer(obj) {
		return nil, nil
	}
	return reflectLoadBalancer(obj)
}

// serviceHealth: a load balancer has an address; every other type works once
// it exists.
func serviceHealth(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	return healthyIf(!isLoadBalancer(obj) || hasAddress(obj)), nil
}

// aggregateService merges the addresses. The API refuses addresses on any
// other type than LoadBalancer, so there what is reported is not looked at.
func aggregateService(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	if !isLoadBalancer(template) {
		items = nil
	}
	return aggregateLoadBalancer(template, items, true)
}

// pruneService takes off what the federation's API server allocated: cluster
// IPs and node ports come from each member's own ranges, and so does the IP
// family of a service that has one. Node ports and families that somebody asked
// for stay. A headless Service stays headless.
//
// A cluster IP goes even if it was asked for: members have their own ranges, and
// mostly not this one.
func pruneService(obj *unstructured.Unstructured) {
	s := spec(obj)
	if s == nil {
		return
	}
	if text(s, "clusterIP") != "None" {
		delete(s, "clusterIP")
		delete(s, "clusterIPs")
	}
	asked := ownersOf(obj)
	if !asked.have("f:healthCheckNodePort") {
		delete(s, "healthCheckNodePort")
	}
	for _, entry := range list(s, "ports") {
		port, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		if _, given := port["nodePort"]; given && !asked.have("f:ports", portKey(port), "f:nodePort") {
			delete(port, "nodePort")
		}
	}
	if text(s, "ipFamilyPolicy") == "SingleStack" {
		for _, field := range []string{"ipFamilyPolicy", "ipFamilies"} {
			if !asked.have("f:" + field) {
				delete(s, field)
			}
		}
	}
}
