package authorizer

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/flotilla-io/flotilla/api/names"
)

var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "escalate", "bind", "approve", "sign", "*", ""}

func agent(cluster string) user.Info {
	return &user.DefaultInfo{Name: "system:cluster:" + cluster, Groups: []string{"system:clusters", "system:authenticated"}}
}

func decide(t *testing.T, a authorizer.AttributesRecord) bool {
	t.Helper()
	decision, _, err := ForClusters().Authorize(t.Context(), a)
	require.NoError(t, err)
	require.NotEqual(t, authorizer.DecisionDeny, decision, "others may have an opinion: RBAC may grant an agent more")
	return decision == authorizer.DecisionAllow
}

// place is where a request goes: one of the agent's own, one of ap's, and one
// without a name or namespace.
type place struct{ namespace, name string }

// The matrix: for each resource, what the agent of eu may do at a place. What is
// not listed is not allowed: every verb, at every place.
func TestAgentOfEu(t *testing.T) {
	const es, lease = "karmada-es-eu", names.ClusterNamespace
	everywhere := []place{
		{"", ""}, {"", "eu"}, {"", "ap"}, {"", "x"},
		{es, ""}, {es, "x"}, {es, "eu"}, {es, "mesh-reader-m"}, {es, "mesh-reader-"}, {es, "a-mesh-reader-m"},
		{"karmada-es-ap", ""}, {"karmada-es-ap", "x"}, {"karmada-es-ap", "eu"},
		{"karmada-es-ap", "mesh-reader-m"}, {"", "mesh-reader-m"}, {"karmada-system", "mesh-reader-m"}, {"karmada-system", "mesh-trust-m"}, {"karmada-system", ""},
		{"karmada-es-", ""}, {"karmada-es-", "mesh-reader-m"}, {"karmada-es-eu2", "x"}, {"eu", "x"}, {"default", "x"}, {"default", "eu"},
		{lease, ""}, {lease, "eu"}, {lease, "ap"}, {"kube-system", "eu"}, {"", "kube-system"}, {"", "kube-public"},
		{"", "agent-eu-abcde"}, {"", "agent-eu-2-abcde"}, {"", "agent-eu-"}, {"", "agent-ap-abcde"}, {"", "agent-e-abcde"},
	}
	reads, none := []string{"get", "list", "watch"}, map[place][]string{}
	inside := func(verbs ...string) map[place][]string {
		out := map[place][]string{}
		for _, at := range everywhere {
			if at.namespace == es {
				out[at] = verbs
			}
		}
		return out
	}
	// Readers' tokens are written, whatever else is there is read.
	secrets := inside(reads...)
	secrets[place{es, ""}] = []string{"get", "list", "watch", "create"}
	secrets[place{es, "mesh-reader-m"}] = []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	clusters := map[place][]string{
		{"", "eu"}: {"get", "list", "watch", "create", "update", "patch"},
		{"", ""}:   {"create"},
	}
	for _, ns := range []string{es, "karmada-es-ap", "karmada-es-", "karmada-es-eu2", "eu", "default", lease, "kube-system", "karmada-system"} {
		// Clusters have no namespace, so no request has one; nothing hangs on it.
		clusters[place{ns, "eu"}], clusters[place{ns, ""}] = clusters[place{"", "eu"}], clusters[place{"", ""}]
	}
	requests := map[place][]string{{"", "agent-eu-abcde"}: reads}
	for _, at := range everywhere {
		if at.name == "" { // they have no namespace, either
			requests[at] = []string{"create"}
		}
	}
	leases := map[place][]string{{lease, "eu"}: {"get", "create", "update", "patch"}, {lease, ""}: {"create"}}
	uid := map[place][]string{{"", "kube-system"}: {"get"}}

	tests := []struct {
		group, resource string
		allowed         map[place][]string
	}{
		{"work.karmada.io", "works", inside(reads...)},
		{"work.karmada.io", "works/status", inside("get", "update", "patch")},
		{"work.karmada.io", "works/scale", none},
		{"work.karmada.io", "resourcebindings", none},
		{"work.karmada.io", "resourcebindings/status", none},
		{"work.karmada.io", "resourcebindings/schedule", none},
		{"work.karmada.io", "clusterresourcebindings", none},
		{"agent.flotilla.io", "statusreports", inside("create")},
		{"agent.flotilla.io", "statusreports/status", none},
		{"mesh.flotilla.io", "meshmembers", inside(reads...)},
		{"mesh.flotilla.io", "meshmembers/status", inside("get", "update", "patch")},
		{"mesh.flotilla.io", "meshmembers/finalizers", none},
		{"mesh.flotilla.io", "meshes", none},
		{"mesh.flotilla.io", "meshes/status", none},
		{"mesh.flotilla.io", "secrets", none},
		{"", "meshmembers", none},
		{"", "secrets", secrets},
		{"", "secrets/status", none},
		{"", "configmaps", none},
		{"", "serviceaccounts", none},
		{"", "serviceaccounts/token", none},
		{"", "pods", none},
		{"", "namespaces", uid},
		{"", "namespaces/finalize", none},
		{"", "works", none},
		{"extensions", "secrets", none},
		{"cluster.karmada.io", "clusters", clusters},
		{"cluster.karmada.io", "clusters/status", clusters},
		{"cluster.karmada.io", "clusters/proxy", none},
		{"coordination.k8s.io", "leases", leases},
		{"coordination.k8s.io", "leases/status", none},
		{"policy.karmada.io", "propagationpolicies", none},
		{"apps", "deployments", none},
		{"rbac.authorization.k8s.io", "clusterroles", none},
		{"certificates.k8s.io", "certificatesigningrequests", requests},
		{"certificates.k8s.io", "certificatesigningrequests/status", none},
		{"certificates.k8s.io", "certificatesigningrequests/approval", none},
		{"certificates.k8s.io", "signers", none},
		{"", "users", none},
		{"", "groups", none},
		{"apiextensions.k8s.io", "customresourcedefinitions", none},
		{"*", "*", none},
	}
	for _, tt := range tests {
		resource, subresource, _ := strings.Cut(tt.resource, "/")
		for _, at := range everywhere {
			if tt.group == "" && resource == "namespaces" && at.namespace != "" {
				continue // the namespace of a request for a namespace is its name
			}
			allowed := tt.allowed[at]
			if tt.group == "cluster.karmada.io" && at.namespace != "" && at.name != "eu" && at.name != "" {
				allowed = nil
			}
			for _, verb := range verbs {
				got := decide(t, authorizer.AttributesRecord{
					User: agent("eu"), Verb: verb, APIGroup: tt.group, APIVersion: "v1", Resource: resource, Subresource: subresource,
					Namespace: at.namespace, Name: at.name, ResourceRequest: true,
				})
				assert.Equal(t, slices.Contains(allowed, verb), got, "%s %s/%s in %q name %q", verb, tt.group, tt.resource, at.namespace, at.name)
			}
		}
	}
}

// Whatever one agent may do to an object by name, another may not.
func TestNoAgentTouchesAnother(t *testing.T) {
	for _, resource := range []string{"work.karmada.io/works", "work.karmada.io/works/status", "agent.flotilla.io/statusreports", "/secrets",
		"mesh.flotilla.io/meshmembers", "mesh.flotilla.io/meshmembers/status",
		"cluster.karmada.io/clusters", "cluster.karmada.io/clusters/status", "coordination.k8s.io/leases"} {
		parts := strings.SplitN(resource, "/", 3)
		parts = append(parts, "")
		for _, verb := range verbs {
			for _, pair := range [][2]string{{"eu", "ap"}, {"ap", "eu"}, {"eu", "eu-2"}, {"eu-2", "eu"}, {"eu", "e"}} {
				r := authorizer.AttributesRecord{
					User: agent(pair[0]), Verb: verb, APIGroup: parts[0], Resource: parts[1], Subresource: parts[2], ResourceRequest: true,
					Namespace: "karmada-es-" + pair[1], Name: pair[1],
				}
				if strings.HasPrefix(resource, "coordination") {
					r.Namespace = names.ClusterNamespace
				}
				assert.False(t, decide(t, r), "%s %s of %s by the agent of %s", verb, resource, pair[1], pair[0])
				if resource == "/secrets" {
					r.Name = "mesh-reader-" + pair[0]
					assert.False(t, decide(t, r), "%s the reader's Secret of %s by the agent of %s", verb, pair[1], pair[0])
				}
			}
		}
	}
}

func TestWhoIsAnAgent(t *testing.T) {
	group := []string{"system:clusters"}
	tests := map[string]struct {
		reason string
		user   user.Info
		want   bool
	}{
		"agent":            {"name and group", agent("eu"), true},
		"no group":         {"a name alone proves nothing: signers check the group", &user.DefaultInfo{Name: "system:cluster:eu"}, false},
		"another group":    {"as above", &user.DefaultInfo{Name: "system:cluster:eu", Groups: []string{"system:authenticated"}}, false},
		"no cluster":       {"an empty name would own the namespace of the prefix", &user.DefaultInfo{Name: "system:cluster:", Groups: group}, false},
		"another prefix":   {"group members that are no agents", &user.DefaultInfo{Name: "eu", Groups: group}, false},
		"nobody":           {"an anonymous request", &user.DefaultInfo{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}, false},
		"no user":          {"a request before authentication", nil, false},
		"name in capitals": {"names are compared as they are", &user.DefaultInfo{Name: "SYSTEM:CLUSTER:EU", Groups: group}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := authorizer.AttributesRecord{Verb: "get", APIGroup: "work.karmada.io", Resource: "works", Namespace: "karmada-es-eu", Name: "x", ResourceRequest: true}
			if tt.user != nil {
				r.User = tt.user
			}
			assert.Equal(t, tt.want, decide(t, r), tt.reason)
			r.Namespace = "karmada-es-"
			assert.False(t, decide(t, r))
		})
	}
}

func TestPathsAreNotForAgents(t *testing.T) {
	for _, path := range []string{"/", "/metrics", "/healthz", "/api", "/apis/work.karmada.io/v1alpha1/namespaces/karmada-es-eu/works"} {
		for _, verb := range verbs {
			assert.False(t, decide(t, authorizer.AttributesRecord{User: agent("eu"), Verb: verb, Path: path}), "%s %s", verb, path)
			assert.False(t, decide(t, authorizer.AttributesRecord{
				User: agent("eu"), Verb: verb, Path: path, APIGroup: "work.karmada.io", Resource: "works", Namespace: "karmada-es-eu",
			}), "%s %s that only looks like a resource", verb, path)
		}
	}
}

// The controllers speak for agents, and nobody else does.
func TestWhoSpeaksForAgents(t *testing.T) {
	controllers := &user.DefaultInfo{Name: "system:flotilla:controller-manager", Groups: []string{"system:authenticated"}}
	tests := map[string]struct {
		reason         string
		user           user.Info
		resource, name string
		change         func(*authorizer.AttributesRecord)
		want           bool
	}{
		"an agent":             {reason: "that of a Push cluster", user: controllers, resource: "users", name: "system:cluster:eu", want: true},
		"agents' group":        {reason: "without it the name is nobody's", user: controllers, resource: "groups", name: "system:clusters", want: true},
		"no cluster":           {reason: "an empty name would own the namespace of the prefix", user: controllers, resource: "users", name: "system:cluster:"},
		"somebody":             {reason: "an agent is no person", user: controllers, resource: "users", name: "jane"},
		"Kubernetes' own":      {reason: "they have more rights", user: controllers, resource: "users", name: "system:kube-controller-manager"},
		"administrators":       {reason: "they have all rights", user: controllers, resource: "groups", name: "system:masters"},
		"everybody":            {reason: "no name is no agent", user: controllers, resource: "users"},
		"service account":      {reason: "not an agent", user: controllers, resource: "serviceaccounts", name: "system:cluster:eu"},
		"extra":                {reason: "agents have none", user: controllers, resource: "userextras", name: "system:cluster:eu"},
		"another group of API": {reason: "users are in the core group", user: controllers, resource: "users", name: "system:cluster:eu", change: func(a *authorizer.AttributesRecord) { a.APIGroup = "authentication.k8s.io" }},
		"subresource":          {reason: "there is none", user: controllers, resource: "users", name: "system:cluster:eu", change: func(a *authorizer.AttributesRecord) { a.Subresource = "x" }},
		"another verb":         {reason: "speaking for is not changing", user: controllers, resource: "users", name: "system:cluster:eu", change: func(a *authorizer.AttributesRecord) { a.Verb = "create" }},
		"a path":               {reason: "not about a user", user: controllers, resource: "users", name: "system:cluster:eu", change: func(a *authorizer.AttributesRecord) { a.ResourceRequest = false }},
		"the scheduler":        {reason: "it hosts no agents", user: &user.DefaultInfo{Name: "system:flotilla:scheduler"}, resource: "users", name: "system:cluster:eu"},
		"another agent":        {reason: "agents speak for themselves", user: agent("ap"), resource: "users", name: "system:cluster:eu"},
		"itself":               {reason: "agents need not", user: agent("eu"), resource: "users", name: "system:cluster:eu"},
		"nobody":               {reason: "a request before authentication", resource: "users", name: "system:cluster:eu"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := authorizer.AttributesRecord{Verb: "impersonate", Resource: tt.resource, Name: tt.name, ResourceRequest: true}
			if tt.user != nil {
				r.User = tt.user
			}
			if tt.change != nil {
				tt.change(&r)
			}
			assert.Equal(t, tt.want, decide(t, r), tt.reason)
		})
	}
}

// The controllers delete the Secret of a cluster that has left a mesh, and no other.
func TestWhoDeletesTokensOfReaders(t *testing.T) {
	controllers := &user.DefaultInfo{Name: "system:flotilla:controller-manager", Groups: []string{"system:authenticated"}}
	tests := map[string]struct {
		reason          string
		user            user.Info
		namespace, name string
		change          func(*authorizer.AttributesRecord)
		want            bool
	}{
		"a reader's":           {reason: "the cluster has left", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", want: true},
		"another Secret":       {reason: "it is somebody else's", user: controllers, namespace: "karmada-es-eu", name: "x"},
		"no mesh":              {reason: "no Mesh has an empty name", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-"},
		"no name":              {reason: "that would be all of them", user: controllers, namespace: "karmada-es-eu"},
		"no cluster":           {reason: "agents write into the namespaces of their clusters only", user: controllers, namespace: "karmada-es-", name: "mesh-reader-m"},
		"a user's namespace":   {reason: "as above", user: controllers, namespace: "shop", name: "mesh-reader-m"},
		"the system's":         {reason: "the roots of a mesh stay", user: controllers, namespace: "karmada-system", name: "mesh-reader-m"},
		"everywhere":           {reason: "as above", user: controllers, name: "mesh-reader-m"},
		"writing":              {reason: "tokens are made by agents", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", change: func(a *authorizer.AttributesRecord) { a.Verb = "update" }},
		"all at once":          {reason: "the name is not looked at then", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", change: func(a *authorizer.AttributesRecord) { a.Verb = "deletecollection" }},
		"another group of API": {reason: "Secrets are in the core group", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", change: func(a *authorizer.AttributesRecord) { a.APIGroup = "mesh.flotilla.io" }},
		"another kind":         {reason: "of which nothing was said", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", change: func(a *authorizer.AttributesRecord) { a.Resource = "configmaps" }},
		"subresource":          {reason: "there is none", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", change: func(a *authorizer.AttributesRecord) { a.Subresource = "x" }},
		"a path":               {reason: "not about a Secret", user: controllers, namespace: "karmada-es-eu", name: "mesh-reader-m", change: func(a *authorizer.AttributesRecord) { a.ResourceRequest = false }},
		"the scheduler":        {reason: "it has nothing to do with meshes", user: &user.DefaultInfo{Name: "system:flotilla:scheduler"}, namespace: "karmada-es-eu", name: "mesh-reader-m"},
		"nobody":               {reason: "a request before authentication", namespace: "karmada-es-eu", name: "mesh-reader-m"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := authorizer.AttributesRecord{Verb: "delete", Resource: "secrets", Namespace: tt.namespace, Name: tt.name, ResourceRequest: true}
			if tt.user != nil {
				r.User = tt.user
			}
			if tt.change != nil {
				tt.change(&r)
			}
			assert.Equal(t, tt.want, decide(t, r), tt.reason)
		})
	}
}
