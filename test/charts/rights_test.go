package charts

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
)

// rules are those of all Roles and ClusterRoles, by name.
func rules(t *testing.T, r *rendering) map[string][]rbacv1.PolicyRule {
	t.Helper()
	all := map[string][]rbacv1.PolicyRule{}
	for _, o := range r.objects {
		if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
			continue
		}
		object, err := typed(o)
		require.NoError(t, err)
		switch object := object.(type) {
		case *rbacv1.Role:
			all[name(o)] = object.Rules
		case *rbacv1.ClusterRole:
			all[name(o)] = object.Rules
		}
	}
	return all
}

func TestNoWildcards(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		for role, rules := range rules(t, r) {
			for _, rule := range rules {
				assert.NotContains(t, rule.Verbs, "*", role)
				assert.NotContains(t, rule.Resources, "*", role)
				assert.NotContains(t, rule.APIGroups, "*", role)
				for _, verb := range []string{"bind", "escalate", "impersonate", "deletecollection"} {
					assert.NotContains(t, rule.Verbs, verb, role)
				}
			}
		}
	})
}

// What the chart makes in the host's cluster may touch its own Secrets and nothing
// else.
func TestCredentialsRole(t *testing.T) {
	r, err := render(map[string]any{})
	require.NoError(t, err)
	all := rules(t, r)
	assert.Len(t, all, 2)
	for _, role := range []string{"Role/flotilla-credentials", "Role/flotilla-credentials-hook"} {
		require.Len(t, all[role], 2, role)
		for _, rule := range all[role] {
			assert.Equal(t, []string{"secrets"}, rule.Resources, role)
			if len(rule.ResourceNames) == 0 {
				assert.Equal(t, []string{"create"}, rule.Verbs, "%s: the one verb that cannot be restricted to names", role)
			}
			assert.NotContains(t, rule.Verbs, "list", role)
			assert.NotContains(t, rule.Verbs, "delete", role)
		}
	}
	for _, o := range r.objects {
		assert.NotEqual(t, "ClusterRole", o.GetKind())
		assert.NotEqual(t, "ClusterRoleBinding", o.GetKind())
	}
}

func TestAgentRole(t *testing.T) {
	values := func() map[string]any { return sets(t)["agent-token"] }
	r, err := render(values())
	require.NoError(t, err)
	role := rules(t, r)["ClusterRole/flotilla-agent-"+namespace]
	may := func(rules []rbacv1.PolicyRule, verb, group, resource string) bool {
		return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
			return len(rule.ResourceNames) == 0 && slices.Contains(rule.Verbs, verb) &&
				slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Resources, resource)
		})
	}
	for _, verb := range []string{"get", "list", "watch", "create", "patch", "delete"} {
		assert.True(t, may(role, verb, "apps", "deployments"), verb)
		assert.True(t, may(role, verb, "", "configmaps"), verb)
	}
	assert.True(t, may(role, "list", "", "nodes"))

	opted := values()
	opted["agent"].(map[string]any)["rbac"] = parse(t, `{kinds: [{apiGroups: [example.com], resources: [widgets]}]}`)
	r, err = render(opted)
	require.NoError(t, err)
	role = rules(t, r)["ClusterRole/flotilla-agent-"+namespace]
	assert.True(t, may(role, "patch", "example.com", "widgets"))
	assert.False(t, may(role, "get", "apps", "deployments"), "the list replaces the default one")

	admin := values()
	admin["agent"].(map[string]any)["rbac"] = parse(t, `{clusterAdmin: true}`)
	r, err = render(admin)
	require.NoError(t, err)
	binding := r.get(t, "ClusterRoleBinding", "flotilla-agent-"+namespace+"-admin")
	assert.Equal(t, "cluster-admin", binding.Object["roleRef"].(map[string]any)["name"])

	none := values()
	none["agent"].(map[string]any)["rbac"] = parse(t, `{create: false}`)
	r, err = render(none)
	require.NoError(t, err)
	assert.Empty(t, rules(t, r))
}
