package remotesecret

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// ReaderName is the ServiceAccount in istio-system that peers read a cluster as,
// and its roles. It is not Istio's istio-reader-service-account: that one comes
// with Istio, bound to a role that can read every ConfigMap, review tokens and more.
const ReaderName = "flotilla-mesh-reader"

// Reader are the objects that a cluster needs so that peers can read it, in the
// order in which they are to be made. Revision is that of Istio (istio.io/rev),
// empty for the default one; secrets says whether it may read them.
func Reader(mesh, revision string, secrets meshv1alpha1.MeshSecretAccess) []runtime.Object {
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: meshv1alpha1.IstioNamespace, Name: ReaderName}}
	labels := map[string]string{meshv1alpha1.MeshLabel: mesh}
	cluster := metav1.ObjectMeta{Name: ReaderName, Labels: labels}
	namespaced := metav1.ObjectMeta{Namespace: meshv1alpha1.IstioNamespace, Name: ReaderName, Labels: labels}
	typed := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	return []runtime.Object{
		&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: namespaced},
		&rbacv1.ClusterRole{TypeMeta: typed("ClusterRole"), ObjectMeta: cluster, Rules: clusterRules(secrets)},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: typed("ClusterRoleBinding"), ObjectMeta: cluster, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ReaderName},
		},
		&rbacv1.Role{TypeMeta: typed("Role"), ObjectMeta: namespaced, Rules: []rbacv1.PolicyRule{meshConfigRule(revision)}},
		&rbacv1.RoleBinding{
			TypeMeta: typed("RoleBinding"), ObjectMeta: namespaced, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: ReaderName},
		},
	}
}

// clusterRules are what a remote istiod has informers for, in
// pkg/kube/multicluster/cluster.go and pilot/pkg/serviceregistry/kube/controller.
// An informer without its right keeps istiod from being synced.
func clusterRules(secrets meshv1alpha1.MeshSecretAccess) []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces", "services", "pods", "nodes"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
		// Whether the kinds below exist.
		{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: read},
		{APIGroups: []string{"networking.istio.io"}, Resources: []string{"workloadentries"}, Verbs: read},
		{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"gateways"}, Verbs: read},
	}
	if secrets == meshv1alpha1.SecretsRead {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: read})
	}
	return rules
}

// meshConfigRule is for the ConfigMap with the peer's mesh configuration alone,
// from which istiod 1.31 takes the peer's trust domain.
func meshConfigRule(revision string) rbacv1.PolicyRule {
	name := "istio"
	if revision != "" && revision != "default" {
		name += "-" + revision
	}
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{name}, Verbs: []string{"get", "list", "watch"}}
}
