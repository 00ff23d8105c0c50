package charts

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What cannot work is refused before anything is in the cluster.
func TestRefusals(t *testing.T) {
	const (
		hash   = `sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef`
		joined = `installMode: agent, agent: {clusterName: eu, server: "https://fed:5443", caHash: "` + hash + `", bootstrapToken: abcdef.0123456789abcdef`
		pem    = `"-----BEGIN CERTIFICATE-----"`
	)
	tests := map[string]struct {
		reason string
		values string
		want   string
	}{
		"mode":                   {"there are two", `{installMode: both}`, "at '/installMode': value must be one of 'host', 'agent'"},
		"typing error":           {"it would be ignored", `{apiServer: {hostnetwork: true}}`, "at '/apiServer': additional properties 'hostnetwork' not allowed"},
		"typing error at top":    {"it would be ignored", `{apiserver: {}}`, "additional properties 'apiserver' not allowed"},
		"type":                   {"the string false is true in templates", `{allInOne: "false"}`, "at '/allInOne': got string, want boolean"},
		"service type":           {"Kubernetes would refuse it half-way", `{apiServer: {serviceType: Nodeport}}`, "at '/apiServer/serviceType': value must be one of"},
		"node port":              {"there are 65535", `{apiServer: {serviceType: NodePort, nodePort: 70000}}`, "at '/apiServer/nodePort': maximum"},
		"node port of nothing":   {"nobody would listen", `{apiServer: {nodePort: 32443}}`, "set apiServer.serviceType=NodePort"},
		"privileged port":        {"pods have no capability for it", `{apiServer: {port: 443}}`, "at '/apiServer/port': minimum"},
		"replicas 0":             {"a federation without an API", `{apiServer: {replicas: 0}}`, "at '/apiServer/replicas': minimum"},
		"replicas of embedded":   {"each would have an etcd of its own", `{apiServer: {replicas: 3}}`, "set etcd.mode=external"},
		"external without":       {"it has to be somewhere", `{etcd: {mode: external}}`, "etcd.external.servers is empty"},
		"servers of embedded":    {"they would not be used", `{etcd: {external: {servers: ["http://e:2379"]}}}`, "set etcd.mode=external"},
		"no URL":                 {"etcd's client wants one", `{etcd: {mode: external, external: {servers: ["e:2379"]}}}`, "at '/etcd/external/servers/0'"},
		"https without TLS":      {"it would not be trusted", `{etcd: {mode: external, external: {servers: ["https://e:2379"]}}}`, "etcd.external.tlsSecret is empty"},
		"etcd mode":              {"there are two", `{etcd: {mode: internal}}`, "at '/etcd/mode': value must be one of 'embedded', 'external'"},
		"size":                   {"it is a quantity", `{etcd: {embedded: {persistence: {size: 8 GB}}}}`, "at '/etcd/embedded/persistence/size'"},
		"latest":                 {"another image each time", `{image: {tag: latest}}`, "name a version in image.tag"},
		"latest of one":          {"another image each time", `{apiServer: {image: {tag: latest}}}`, "name a version in image.tag"},
		"digest":                 {"nodes would not find it", `{apiServer: {image: {digest: abc}}}`, "at '/apiServer/image/digest'"},
		"pull policy":            {"Kubernetes would refuse it half-way", `{image: {pullPolicy: Sometimes}}`, "at '/image/pullPolicy'"},
		"flag":                   {"flags begin with dashes", `{apiServer: {extraArgs: [v=2]}}`, "at '/apiServer/extraArgs/0'"},
		"schedule":               {"cron has five fields", `{certs: {renewal: {schedule: daily}}}`, "at '/certs/renewal/schedule'"},
		"resources":              {"typing errors in them are the costly ones", `{apiServer: {resources: {limit: {}}}}`, "additional properties 'limit' not allowed"},
		"anti-affinity":          {"there are three", `{scheduler: {podAntiAffinity: strong}}`, "at '/scheduler/podAntiAffinity'"},
		"name":                   {"objects could not be called so", `{fullnameOverride: Flotilla_1}`, "at '/fullnameOverride'"},
		"agent of nothing":       {"it needs a name", `{installMode: agent}`, "agent.clusterName is empty"},
		"agent's name":           {"a DNS label", `{installMode: agent, agent: {clusterName: EU_1}}`, "at '/agent/clusterName'"},
		"agent's long name":      {"48 characters", `{installMode: agent, agent: {clusterName: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}`, "at '/agent/clusterName': maxLength"},
		"agent of no federation": {"it has to join one", `{installMode: agent, agent: {clusterName: eu}}`, "fedctl token create"},
		"no token":               {"it could not join", `{installMode: agent, agent: {clusterName: eu, server: "https://fed:5443", caHash: "` + hash + `"}}`, "agent.bootstrapToken is needed"},
		"no hash":                {"anybody could be the federation", `{installMode: agent, agent: {clusterName: eu, server: "https://fed:5443", bootstrapToken: abcdef.0123456789abcdef}}`, "agent.server and agent.caHash are needed"},
		"hash":                   {"it is a SHA-256", `{installMode: agent, agent: {clusterName: eu, caHash: "sha256:abc"}}`, "at '/agent/caHash'"},
		"token":                  {"bootstrap tokens look otherwise", `{installMode: agent, agent: {clusterName: eu, bootstrapToken: abc}}`, "at '/agent/bootstrapToken'"},
		"two tokens":             {"one would be ignored", `{` + joined + `, bootstrapTokenSecret: other}}`, "use one"},
		"plain http":             {"the token would be readable", `{installMode: agent, agent: {clusterName: eu, server: "http://fed:5443"}}`, "at '/agent/server'"},
		"two ways":               {"one would be ignored", `{` + joined + `, kubeconfig: {caCrt: ` + pem + `, crt: ` + pem + `, key: "-----BEGIN PRIVATE KEY-----", server: "https://fed:5443"}}}`, "use one way to join"},
		"half a kubeconfig":      {"it could not join", `{installMode: agent, agent: {clusterName: eu, kubeconfig: {server: "https://fed:5443"}}}`, "agent.kubeconfig.caCrt, agent.kubeconfig.crt, agent.kubeconfig.key missing"},
		"no PEM":                 {"the name of a file is not its content: --set-file", `{installMode: agent, agent: {clusterName: eu, kubeconfig: {crt: agent.crt}}}`, "at '/agent/kubeconfig/crt'"},
		"kinds":                  {"a kind without a group is none", `{installMode: agent, agent: {rbac: {kinds: [{resources: [pods]}]}}}`, "missing property 'apiGroups'"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := render(parse(t, tt.values))
			require.ErrorContains(t, err, tt.want, tt.reason)
		})
	}
}
