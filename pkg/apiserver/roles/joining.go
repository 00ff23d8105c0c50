package roles

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/api/names"
)

// ClusterInfo is the ConfigMap in kube-public with which a federation says where
// and who it is. Whoever wants to join reads it before he can prove anything.
const ClusterInfo = "cluster-info"

// joining lets whoever has a bootstrap token ask for a certificate. Whether it is
// given is for the approver to say.
func joining() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{clusterRole("system:flotilla:agent-bootstrap",
		rule(of("certificates.k8s.io"), of("certificatesigningrequests"), "create", "get", "list", "watch"))}
}

func joiners() rbacv1.Subject { return group(names.BootstrapGroup) }

// discovery lets everybody read ClusterInfo, and nothing else.
func discovery() (map[string][]rbacv1.Role, map[string][]rbacv1.RoleBinding) {
	const name = "system:flotilla:cluster-info"
	public := metav1.NamespacePublic
	return map[string][]rbacv1.Role{public: {{
			ObjectMeta: metav1.ObjectMeta{Namespace: public, Name: name},
			Rules:      []rbacv1.PolicyRule{named(rule(of(""), of("configmaps"), "get"), ClusterInfo)},
		}}}, map[string][]rbacv1.RoleBinding{public: {{
			ObjectMeta: metav1.ObjectMeta{Namespace: public, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{group("system:unauthenticated"), group("system:authenticated")},
		}}}
}
