package roles

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	rbacrest "k8s.io/kubernetes/pkg/registry/rbac/rest"
)

// HookName is the name of the hook that reconciles Policy after a start.
const HookName = "flotilla/bootstrap-roles"

// Policy is everything that is granted from the start.
func Policy() *rbacrest.PolicyData {
	roles, bindings := components()
	roles = append(append(roles, people()...), joining()...)
	bindings = append(bindings, bind("system:flotilla:agent-bootstrap", joiners()))
	policy := &rbacrest.PolicyData{ClusterRoles: roles, ClusterRoleBindings: bindings}
	policy.Roles, policy.RoleBindings = discovery()
	role, binding := system()
	policy.Roles[role.Namespace] = append(policy.Roles[role.Namespace], role)
	policy.RoleBindings[role.Namespace] = append(policy.RoleBindings[role.Namespace], binding)
	for i := range policy.ClusterRoles {
		mark(&policy.ClusterRoles[i])
	}
	for i := range policy.ClusterRoleBindings {
		mark(&policy.ClusterRoleBindings[i])
	}
	for _, list := range policy.Roles {
		for i := range list {
			mark(&list[i])
		}
	}
	for _, list := range policy.RoleBindings {
		for i := range list {
			mark(&list[i])
		}
	}
	return policy
}

// mark says what the object is, and that it is kept up to date.
func mark(obj metav1.Object) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels["kubernetes.io/bootstrapping"] = "flotilla-defaults"
	obj.SetLabels(labels)
	obj.SetAnnotations(map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"})
}

func rule(groups, resources []string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: groups, Resources: resources, Verbs: verbs}
}

func of(values ...string) []string { return values }

// named restricts a rule to objects of these names.
func named(r rbacv1.PolicyRule, names ...string) rbacv1.PolicyRule {
	r.ResourceNames = names
	return r
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	return rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

// bind binds a ClusterRole under its own name.
func bind(role string, subjects ...rbacv1.Subject) rbacv1.ClusterRoleBinding {
	return rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   subjects,
	}
}

func user(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

func group(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}
