// Package authorizer lets an agent do its work and nothing else, and the
// controllers speak for agents and nobody else.
//
// An agent is a user system:cluster:<name> in the group system:clusters. It
// reads the Works of its own cluster, reports their status, keeps its own
// Cluster and lease up to date, sees the UID of the federation, and asks for its
// next certificate. Of the meshes of its cluster it reads what it has to do, reports
// what it has seen, and leaves the token with which peers read the cluster in a
// Secret. For every other request the authorizer has no opinion, so RBAC decides,
// which grants the group nothing.
//
// The controllers host the agents of clusters in Push mode, so they impersonate
// them, and they delete those Secrets. RBAC could allow either for everything or for
// a list of names only.
package authorizer

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// ForClusters returns the authorizer.
func ForClusters() authorizer.Authorizer { return clusters{} }

type clusters struct{}

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"get", "create", "update", "patch"}
	// report is what is done to a status.
	report = []string{"get", "update", "patch"}
)

// Authorize implements authorizer.Authorizer.
func (clusters) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if !a.IsResourceRequest() {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if cluster, ok := clusterOf(a.GetUser()); ok && allowed(cluster, a) || isHost(a.GetUser()) && (anAgent(a) || oldReader(a)) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func isHost(u user.Info) bool { return u != nil && u.GetName() == pki.ControllerManagerUser }

// anAgent says whether a request is to speak for an agent.
func anAgent(a authorizer.Attributes) bool {
	if a.GetVerb() != "impersonate" || a.GetAPIGroup() != "" || a.GetSubresource() != "" {
		return false
	}
	switch a.GetResource() {
	case "users":
		cluster, ok := strings.CutPrefix(a.GetName(), names.AgentUserPrefix)
		return ok && cluster != ""
	case "groups":
		return a.GetName() == names.AgentGroup
	}
	return false
}

// oldReader says whether a request is to delete the Secret with the token of a reader.
func oldReader(a authorizer.Attributes) bool {
	_, execution := names.ClusterOf(a.GetNamespace())
	return a.GetVerb() == "delete" && a.GetAPIGroup() == "" && a.GetResource() == "secrets" && a.GetSubresource() == "" &&
		execution && ofReader(a.GetName())
}

// ofReader says whether a Secret of that name has the token of a mesh's reader.
func ofReader(name string) bool {
	mesh, ok := strings.CutPrefix(name, meshv1alpha1.ReaderSecretPrefix)
	return ok && mesh != ""
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
	case "work.karmada.io/works", "mesh.flotilla.io/meshmembers":
		return own && slices.Contains(read, verb)
	case "work.karmada.io/works/status", "mesh.flotilla.io/meshmembers/status":
		return own && slices.Contains(report, verb)
	case "agent.flotilla.io/statusreports":
		return own && verb == "create"
	case "/secrets":
		switch verb {
		case "create":
			// Admission looks at the name, and at the type.
			return own && (a.GetName() == "" || ofReader(a.GetName()))
		case "update", "patch", "delete":
			return own && ofReader(a.GetName())
		}
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
	case "certificates.k8s.io/certificatesigningrequests":
		// Admission looks at what is asked for.
		return verb == "create" && a.GetName() == "" || slices.Contains(read, verb) && ownRequest(cluster, a.GetName())
	case "/namespaces":
		return verb == "get" && a.GetName() == names.FederationUIDNamespace
	}
	return false
}

// ownRequest says whether a certificate request has a name the API server makes
// for requests of this agent. The last part has no dash, so those of a cluster
// whose name begins with this one's are not among them.
func ownRequest(cluster, name string) bool {
	random, ok := strings.CutPrefix(name, names.RequestPrefix(cluster))
	return ok && random != "" && !strings.Contains(random, "-")
}

func join(resource, subresource string) string {
	if subresource == "" {
		return resource
	}
	return resource + "/" + subresource
}
