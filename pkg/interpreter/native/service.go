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
// IPs and node ports come from each member's own ranges. A headless Service
// stays headless. Which IP family a service of one family gets is each
// member's default too.
func pruneService(obj *unstructured.Unstructured) {
	s := spec(obj)
	if s == nil {
		return
	}
	if text(s, "clusterIP") != "None" {
		delete(s, "clusterIP")
		delete(s, "clusterIPs")
	}
	delete(s, "healthCheckNodePort")
	for _, entry := range list(s, "ports") {
		if port, ok := entry.(map[string]any); ok {
			delete(port, "nodePort")
		}
	}
	if text(s, "ipFamilyPolicy") == "SingleStack" {
		delete(s, "ipFamilyPolicy")
		delete(s, "ipFamilies")
	}
}
