package charts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	rbacvalidation "k8s.io/component-helpers/auth/rbac/validation"
	"k8s.io/utils/ptr"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// agentRules are what the agent may do with these values of `agent`.
func agentRules(t *testing.T, agent string) []rbacv1.PolicyRule {
	t.Helper()
	values := sets(t)["agent-token"]
	for key, value := range parse(t, agent) {
		values["agent"].(map[string]any)[key] = value
	}
	r, err := render(values)
	require.NoError(t, err)
	return rules(t, r)["ClusterRole/flotilla-agent-"+namespace]
}

// request is one right on one object.
func request(group, resource, name string, verbs ...string) []rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	if name != "" {
		r.ResourceNames = []string{name}
	}
	return []rbacv1.PolicyRule{r}
}

// meshObjects is everything that a mesh brings into a cluster.
func meshObjects() []runtime.Object {
	mesh := &meshv1alpha1.Mesh{}
	meshv1alpha1.SetDefaults_Mesh(mesh)
	cluster := gateway.Cluster{Mesh: "mesh1", Name: "eu", Network: "network-eu"}
	all := remotesecret.Reader("mesh1", "", meshv1alpha1.SecretsRead)
	spec := mesh.Spec.Gateway
	spec.Replicas = ptr.To[int32](2)
	all = append(all, gateway.Objects(&spec, cluster)...)
	spec.Mode = meshv1alpha1.GatewayAPI
	all = append(all, gateway.Objects(&spec, cluster)...)
	secret := metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
	return append(all,
		&corev1.Secret{TypeMeta: secret, ObjectMeta: metav1.ObjectMeta{Name: "cacerts"}},
		&corev1.Secret{TypeMeta: secret, ObjectMeta: metav1.ObjectMeta{Name: remotesecret.Name("ap")}},
	)
}

// resourceOf is what an object is served at.
func resourceOf(t *testing.T, obj runtime.Object) (group, resource, name string) {
	t.Helper()
	gvk := obj.GetObjectKind().GroupVersionKind()
	require.NotEmpty(t, gvk.Kind, "%T", obj)
	m, err := meta.Accessor(obj)
	require.NoError(t, err)
	return gvk.Group, strings.ToLower(gvk.Kind) + "s", m.GetName()
}

// An agent with the default values can make everything that a mesh needs in its
// cluster, change it, take it away again, and has everything that it grants to peers:
// Kubernetes asks for that.
func TestAgentCanJoinAMesh(t *testing.T) {
	for values, reason := range map[string]string{
		`{}`: "the default is enough",
		`{rbac: {kinds: [{apiGroups: [""], resources: [secrets, services, serviceaccounts]}, {apiGroups: [apps], resources: [deployments]}, {apiGroups: [policy], resources: [poddisruptionbudgets]}]}}`: "and so are the kinds of a mesh",
	} {
		role := agentRules(t, values)
		covers := func(want []rbacv1.PolicyRule, what string) {
			ok, missing := rbacvalidation.Covers(role, want)
			assert.True(t, ok, "%s: %s: %v", reason, what, missing)
		}
		for _, obj := range meshObjects() {
			group, resource, name := resourceOf(t, obj)
			covers(request(group, resource, "", "get", "list", "watch", "create"), "reads and makes")
			covers(request(group, resource, name, "patch", "delete"), "changes and takes away "+name)
			switch obj := obj.(type) {
			case *rbacv1.ClusterRole:
				covers(obj.Rules, "grants")
			case *rbacv1.Role:
				covers(obj.Rules, "grants")
			}
		}
		covers(request("networking.istio.io", "destinationrules", "", "get", "list", "watch", "create", "patch", "delete"), "failover")
		covers(request("", "serviceaccounts/token", remotesecret.ReaderName, "create"), "mints tokens")
		covers(request("", "namespaces", meshv1alpha1.IstioNamespace, "get", "patch"), "labels the network")
		covers(request("", "nodes", "", "get", "list", "watch", "patch"), "labels localities")
		covers(request("", "configmaps", "istio-ca-root-cert", "get"), "finds istiod's root")
		covers(request("", "configmaps", "kube-root-ca.crt", "get"), "finds the API server's CA, for the remote secrets")
	}
}

// What the values for meshes grant ends there.
func TestAgentRightsForMeshesEnd(t *testing.T) {
	const none = `rbac: {kinds: [{apiGroups: [example.com], resources: [widgets]}]}`
	type right struct{ verb, group, resource, name string }
	roles := []string{"clusterroles", "clusterrolebindings", "roles", "rolebindings"}
	never := []right{
		{"get", "", "secrets", ""}, {"list", "", "secrets", ""}, {"create", "", "secrets", ""}, {"create", "", "pods", ""}, {"create", "apps", "deployments", ""},
		{"create", "", "serviceaccounts/token", "default"}, {"patch", "", "namespaces", "kube-system"}, {"delete", "", "namespaces", "istio-system"},
		{"delete", "networking.istio.io", "gateways", "public"}, {"patch", "gateway.networking.k8s.io", "gateways", "public"}, {"get", "", "configmaps", "x"},
		{"delete", "", "nodes", "n"},
	}
	for _, resource := range roles {
		for _, verb := range []string{"patch", "delete"} {
			never = append(never, right{verb, rbacv1.GroupName, resource, "cluster-admin"})
		}
	}
	off := []right{
		{"list", "", "services", ""}, {"get", "", "nodes", ""}, {"patch", "", "nodes", "n"}, {"create", rbacv1.GroupName, "clusterroles", ""}, {"patch", "", "namespaces", "istio-system"},
		{"create", "", "serviceaccounts/token", "flotilla-mesh-reader"}, {"create", "networking.istio.io", "gateways", ""},
	}
	tests := map[string]struct {
		reason, values string
		never          []right
	}{
		"on":            {"Secrets and pods are from agent.rbac.kinds alone", "{" + none + "}", never},
		"off":           {"nothing is left of it", "{mesh: {enabled: false}, " + none + "}", append(off, never...)},
		"no localities": {"taints are somebody else's", "{mesh: {localities: false}, " + none + "}", append([]right{{"patch", "", "nodes", "n"}}, never...)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			role := agentRules(t, tt.values)
			for _, r := range tt.never {
				ok, _ := rbacvalidation.Covers(role, request(r.group, r.resource, r.name, r.verb))
				assert.False(t, ok, "%s: %v", tt.reason, r)
			}
		})
	}
}

// An agent without the rights is told so, and does not try for ever.
func TestAgentIsToldAboutMeshes(t *testing.T) {
	for values, want := range map[string][]string{
		`{}`:                          nil,
		`{mesh: {localities: false}}`: {"--mesh-localities=false"},
		`{mesh: {enabled: false}}`:    {"--mesh=false"},
		`{mesh: {enabled: false, localities: false}}`: {"--mesh=false"},
	} {
		set := sets(t)["agent-token"]
		for key, value := range parse(t, values) {
			set["agent"].(map[string]any)[key] = value
		}
		r, err := render(set)
		require.NoError(t, err)
		var told []string
		for _, w := range workloads(t, r) {
			for _, arg := range w.template.Spec.Containers[0].Args {
				if strings.HasPrefix(arg, "--mesh") {
					told = append(told, arg)
					flag, _, _ := strings.Cut(arg, "=")
					assert.Contains(t, flagsOf(t)["agent"], flag)
				}
			}
		}
		assert.Equal(t, want, told, values)
	}
}
