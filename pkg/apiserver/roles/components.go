package roles

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// AllInOneGroup has the rights of all components, for a process that is all of
// them. No certificate names it.
const AllInOneGroup = "system:flotilla:all-in-one"

const (
	policyGroup  = "policy.karmada.io"
	workGroup    = "work.karmada.io"
	clusterGroup = "cluster.karmada.io"
	meshGroup    = "mesh.flotilla.io"
)

// components are the roles of controller-manager and scheduler, each bound to the
// user of its name. Impersonation of agents, and deletion of the Secrets with tokens of
// readers, which RBAC cannot limit to a prefix, are the authorizer's.
func components() ([]rbacv1.ClusterRole, []rbacv1.ClusterRoleBinding) {
	leases := rule(of("coordination.k8s.io"), of("leases"), "get", "create", "update")
	events := rule(of(""), of("events"), "create", "patch")
	roles := []rbacv1.ClusterRole{
		clusterRole(pki.ControllerManagerUser,
			// Templates are of any kind: they are found, marked with their claim,
			// and given the sum of their statuses.
			rule(of("*"), of("*"), "get", "list", "watch", "patch"),
			rule(of(workGroup), of("resourcebindings", "clusterresourcebindings"), "create", "delete"),
			rule(of(""), of("namespaces"), "create", "delete"),
			// What a mesh needs in its clusters travels as Works that are stored.
			rule(of(meshGroup), of("meshes", "meshes/status"), "update"),
			rule(of(meshGroup), of("meshmembers"), "create", "update", "delete"),
			rule(of(workGroup), of("works"), "create", "update", "delete"),
			rule(of("certificates.k8s.io"), of("certificatesigningrequests/approval"), "update"),
			named(rule(of("certificates.k8s.io"), of("signers"), "approve"), "kubernetes.io/kube-apiserver-client"),
			leases, rule(of("coordination.k8s.io"), of("leases"), "delete"), events,
		),
		clusterRole(pki.SchedulerUser,
			rule(of(workGroup), of("resourcebindings", "clusterresourcebindings"), "get", "list", "watch"),
			rule(of(workGroup), of("resourcebindings/schedule", "clusterresourcebindings/schedule"), "update"),
			rule(of(clusterGroup), of("clusters"), "get", "list", "watch"),
			leases, events,
		),
	}
	var bindings []rbacv1.ClusterRoleBinding
	for _, role := range roles {
		bindings = append(bindings, bind(role.Name, user(role.Name), group(AllInOneGroup)))
	}
	return roles, bindings
}

// system is what the controllers keep for themselves: the roots of meshes, with their
// keys.
func system() (rbacv1.Role, rbacv1.RoleBinding) {
	meta := metav1.ObjectMeta{Namespace: names.SystemNamespace, Name: pki.ControllerManagerUser}
	return rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule(of(""), of("secrets"), "create", "update")}},
		rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects:   []rbacv1.Subject{user(pki.ControllerManagerUser), group(AllInOneGroup)},
		}
}

// people are the roles for people, and the pieces they are put together from.
func people() []rbacv1.ClusterRole {
	reads := of("get", "list", "watch")
	writes := of("create", "update", "patch", "delete", "deletecollection")
	namespaced := of("propagationpolicies", "overridepolicies")
	policies := append(of("clusterpropagationpolicies", "clusteroverridepolicies"), namespaced...)
	return []rbacv1.ClusterRole{
		aggregated("flotilla-viewer", "flotilla-editor"),
		aggregated("flotilla-editor", "flotilla-admin"),
		aggregated("flotilla-admin", ""),
		piece("flotilla-viewer", flotillaLabel("flotilla-viewer"),
			rule(of(policyGroup), of("*"), reads...),
			rule(of(workGroup), of("resourcebindings", "resourcebindings/status", "clusterresourcebindings", "clusterresourcebindings/status"), reads...),
			rule(of(clusterGroup), of("clusters", "clusters/status"), reads...),
			rule(of(meshGroup), of("meshes", "meshes/status", "meshmembers", "meshmembers/status"), reads...),
		),
		piece("flotilla-editor", flotillaLabel("flotilla-editor"), rule(of(policyGroup), policies, writes...)),
		piece("flotilla-admin", flotillaLabel("flotilla-admin"),
			rule(of(policyGroup), of("*"), writes...),
			rule(of(workGroup), of("*"), append(reads, writes...)...),
			rule(of(clusterGroup), of("clusters", "clusters/status"), writes...),
			rule(of(meshGroup), of("meshes"), writes...),
			// What may be done there is for the member to say.
			rule(of(clusterGroup), of("clusters/proxy"), "*"),
		),
		piece("view", kubernetesLabel("view"),
			rule(of(policyGroup), namespaced, reads...),
			rule(of(workGroup), of("resourcebindings", "resourcebindings/status"), reads...),
		),
		piece("edit", kubernetesLabel("edit"), rule(of(policyGroup), namespaced, writes...)),
	}
}

func flotillaLabel(role string) string   { return "rbac.flotilla.io/aggregate-to-" + role }
func kubernetesLabel(role string) string { return "rbac.authorization.k8s.io/aggregate-to-" + role }

// aggregated is a role put together from those with its label; it is itself a part
// of the next one.
func aggregated(name, next string) rbacv1.ClusterRole {
	role := clusterRole(name)
	if next != "" {
		role.Labels = map[string]string{flotillaLabel(next): "true"}
	}
	role.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
		{MatchLabels: map[string]string{flotillaLabel(name): "true"}},
	}}
	return role
}

func piece(of, label string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	role := clusterRole("system:flotilla:aggregate-to-"+of, rules...)
	role.Labels = map[string]string{label: "true"}
	return role
}
