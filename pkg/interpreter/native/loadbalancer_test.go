package native

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAggregateLoadBalancers(t *testing.T) {
	const (
		balancer = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: LoadBalancer}\n"
		ingress  = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\n"
	)
	for name, c := range map[string]aggregateCase{
		"merged": {
			reason:   "by cluster, then by value, each once",
			template: balancer,
			items: map[string]string{
				"eu": "{loadBalancer: {ingress: [{ip: 2.2.2.2, ipMode: Proxy}, {ip: 1.1.1.1}, {ip: 3.3.3.3}]}}",
				"ap": "{loadBalancer: {ingress: [{ip: 3.3.3.3, ipMode: VIP}, {hostname: lb.ap}]}}",
				"us": "",
			},
			want: "loadBalancer: {ingress: [{hostname: lb.ap}, {ip: 3.3.3.3, ipMode: VIP}, {ip: 1.1.1.1, ipMode: VIP}, {ip: 2.2.2.2, ipMode: Proxy}]}",
		},
		"unusable": {
			reason:   "an entry without any address says nothing, and an IP mode without an IP is refused",
			template: balancer,
			items:    map[string]string{"eu": "{loadBalancer: {ingress: [{ipMode: VIP}, {hostname: a, ipMode: VIP}]}}"},
			want:     "loadBalancer: {ingress: [{hostname: a}]}",
		},
		"gone": {
			reason:   "no cluster has an address any more",
			template: balancer + "status: {loadBalancer: {ingress: [{ip: 1.1.1.1, ipMode: VIP}]}}",
			items:    map[string]string{"eu": ""},
			want:     "{}",
		},
		"not a balancer": {
			reason:   "the API refuses addresses of a ClusterIP service",
			template: "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: ClusterIP}\nstatus: {loadBalancer: {}}",
			items:    map[string]string{"eu": "{loadBalancer: {ingress: [{ip: 1.1.1.1}]}}"},
			same:     true,
		},
		"ports": {
			reason:   "ports and their errors are kept; an Ingress has no IP mode",
			template: ingress,
			items:    map[string]string{"eu": "{loadBalancer: {ingress: [{ip: 1.1.1.1, ports: [{port: 80, protocol: TCP, error: a/b}]}]}}"},
			want:     "loadBalancer: {ingress: [{ip: 1.1.1.1, ports: [{port: 80, protocol: TCP, error: a/b}]}]}",
		},
	} {
		t.Run(name, c.run)
	}
}

func TestReflectLoadBalancers(t *testing.T) {
	const addresses = "status: {loadBalancer: {ingress: [{ip: 1.1.1.1}]}, conditions: [{type: X}]}"
	for name, c := range map[string]struct{ in, want, reason string }{
		"balancer":   {header("v1 Service") + "spec: {type: LoadBalancer}\n" + addresses, "loadBalancer: {ingress: [{ip: 1.1.1.1}]}", "addresses and nothing else"},
		"waiting":    {header("v1 Service") + "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {}}", "", "nothing yet"},
		"cluster ip": {header("v1 Service") + "spec: {type: ClusterIP}\nstatus: {loadBalancer: {}}", "", "has no status"},
		"ingress":    {header("networking.k8s.io/v1 Ingress") + addresses, "loadBalancer: {ingress: [{ip: 1.1.1.1}]}", "addresses and nothing else"},
	} {
		t.Run(name, func(t *testing.T) {
			got := reflected(t, object(t, c.in))
			if c.want == "" {
				require.Nil(t, got, c.reason)
				return
			}
			requireTree(t, tree(t, c.want), got, c.reason)
		})
	}
}
