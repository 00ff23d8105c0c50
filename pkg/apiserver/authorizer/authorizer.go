// Package authorizer lets an agent do its work and nothing else.
//
// An agent is a user system:cluster:<name> in the group system:clusters. It
// reads the Works of its own cluster, reports their status, keeps its own
// Cluster and lease up to date, and sees the UID of the federation. For every
// other request the authorizer has no opinion, so RBAC decides, which grants the
// group nothing.
package authorizer

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/flotilla-io/flotilla/api/names"
)

// ForClusters returns the authorizer.
func ForClusters() authorizer.Authorizer { return clusters{} }

type clusters struct{}

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"get", "create", "update", "patch"}
)

// Authorize implements authorizer.Authorizer.
func (clusters) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	cluster, ok := clusterOf(a.GetUser())
	if ok && a.IsResourceRequest() && allowed(cluster, a) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func clusterOf(u user.Info) (string, bool) {
	if u == nil || !slices.Contains(u.GetGroups(), names.AgentGroup) {
		return "", false
	}
	cluster, ok := strings.CutPrefix(u.GetName(), names.AgentUserPrefix)
	return cluster, ok && cluster != ""
}

func allowed(cluster string, a authorizer.Attributes) bool {
	verb := a.GetVerb()
	own := a.GetNamespace() == names.ExecutionNamespace(cluster)
	switch resource := a.GetAPIGroup() + "/" + join(a.GetResource(), a.GetSubresource()); resource {
	case "work.karmada.io/works":
		return own && slices.Contains(read, verb)
	case "work.karmada.io/works/status":
		return own && (verb == "get" || verb == "update" || verb == "patch")
	case "agent.flotilla.io/statusreports":
		return own && verb == "create"
	case "/secrets":
		return own && slices.Contains(read, verb)
	case "cluster.karmada.io/clusters", "cluster.karmada.io/clusters/status":
		if verb == "create" {
			// The name of an object that is created is not always in the
			// request; admission compares it with the user.
			return a.GetName() == "" || a.GetName() == cluster
		}
		return a.GetName() == cluster && (slices.Contains(write, verb) || verb == "watch" || verb == "list")
	case "coordination.k8s.io/leases":
		if a.GetNamespace() != names.ClusterNamespace {
			return false
		}
		return (verb == "create" && a.GetName() == "") || (a.GetName() == cluster && slices.Contains(write, verb))
	case "/namespaces":
		return verb == "get" && a.GetName() == names.FederationUIDNamespace
	}
	return false
}

func join(resource, subresource string) string {
	if subresource == "" {
		return resource
	}
	return resource + "/" + subresource
}
