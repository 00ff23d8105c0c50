package fedctl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func newCluster(name, id string, mode clusterv1alpha1.ClusterSyncMode) *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-of-cluster"},
		Spec:       clusterv1alpha1.ClusterSpec{ID: id, SyncMode: mode},
		Status: clusterv1alpha1.ClusterStatus{Conditions: []metav1.Condition{
			{Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionTrue, Reason: "ClusterReady"},
		}},
	}
}

func TestJoinAndUnjoin(t *testing.T) {
	d := newDesk(t, newCluster("taken", "uid-other", clusterv1alpha1.Push), newCluster("pull", "uid-pull", clusterv1alpha1.Pull))
	out := d.types("join eu --member-kubeconfig m --timeout 0 --cluster-region europe --cluster-zones a,b")
	out += d.types("join eu --member-kubeconfig m --timeout 0")
	out += d.types("join again --member-kubeconfig m")
	out += d.types("join taken --member-kubeconfig m")
	out += d.types("join pull --member-kubeconfig m")
	out += d.types("join eu")

	c := &clusterv1alpha1.Cluster{}
	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: "eu"}, c))
	require.Equal(t, clusterv1alpha1.ClusterSpec{
		ID: "uid-member", SyncMode: clusterv1alpha1.Push, APIEndpoint: memberURL, Region: "europe", Zones: []string{"a", "b"},
		SecretRef:             &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "eu"},
		ImpersonatorSecretRef: &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "eu-impersonator"},
	}, c.Spec)
	for name, token := range map[string]string{"eu": "token of flotilla-eu", "eu-impersonator": "token of flotilla-eu-impersonator"} {
		s := &corev1.Secret{}
		require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Namespace: "karmada-cluster", Name: name}, s))
		require.Equal(t, token, string(s.Data["token"]))
		require.Equal(t, "member's CA", string(s.Data["caBundle"]))
	}
	role := &rbacv1.ClusterRole{}
	require.NoError(t, d.member.Get(t.Context(), client.ObjectKey{Name: "flotilla-eu"}, role))
	for _, rule := range role.Rules {
		require.NotContains(t, rule.Resources, "*", "not everything unless it is asked for")
	}
	require.Contains(t, role.Rules, rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets"},
		Verbs: []string{"get", "list", "watch", "create", "patch", "delete"},
	})

	out += d.types("unregister eu")
	out += d.types("unjoin pull")
	out += d.types("unjoin eu --delete-workloads")
	out += d.types("unjoin eu --member-kubeconfig m")
	out += d.types("unjoin eu")
	golden(t, "join", out)

	for _, name := range []string{"flotilla-eu", "flotilla-eu-impersonator"} {
		for _, o := range []client.Object{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}} {
			require.True(t, apierrors.IsNotFound(d.member.Get(t.Context(), client.ObjectKey{Name: name}, o)), "%T %s", o, name)
		}
		for _, o := range []client.Object{&corev1.Secret{}, &corev1.ServiceAccount{}} {
			require.True(t, apierrors.IsNotFound(d.member.Get(t.Context(), client.ObjectKey{Namespace: memberNamespace, Name: name}, o)), "%T %s", o, name)
		}
	}
	secrets := &corev1.SecretList{}
	require.NoError(t, d.federation.List(t.Context(), secrets, client.InNamespace("karmada-cluster")))
	require.Empty(t, secrets.Items)
}

func TestJoinTakesNothingFromOtherFederations(t *testing.T) {
	d := newDesk(t)
	theirs := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: memberNamespace, Name: "flotilla-eu"}}
	require.NoError(t, d.member.Create(t.Context(), theirs))
	require.Contains(t, d.types("join eu --member-kubeconfig m --timeout 0"), "is of another federation")
	require.Contains(t, d.types("unjoin eu --member-kubeconfig m"), "There is no Cluster eu")
	require.NoError(t, d.member.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs), "it stays")
}

func TestJoinTakesNoSecretOfOthers(t *testing.T) {
	secret := func(name, owner string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-cluster", Name: name}, Data: map[string][]byte{"token": []byte("theirs")}}
		if owner != "" {
			s.Labels = map[string]string{credentialsLabel: owner}
		}
		return s
	}
	d := newDesk(t, secret("eu-impersonator", "other"), secret("by-hand", ""), secret("old", ""), &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: "old"},
		Spec:       clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Push, ID: "uid-member", SecretRef: &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "old"}},
	})
	token := func(name string) string {
		s := &corev1.Secret{}
		require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Namespace: "karmada-cluster", Name: name}, s))
		return string(s.Data["token"])
	}
	require.Contains(t, d.types("join old --member-kubeconfig m --timeout 0"), "Registered cluster old", "its Cluster names it")
	require.Equal(t, "token of flotilla-old", token("old"))
	require.Contains(t, d.types("unjoin old"), "Deleted its credentials")

	require.Contains(t, d.types("join eu --member-kubeconfig m --timeout 0"), `"other"`)
	require.Contains(t, d.types("join by-hand --member-kubeconfig m --timeout 0"), "is not this cluster's")
	require.Contains(t, d.types("unjoin eu"), "Warning: Secret karmada-cluster/eu-impersonator of the federation stays")
	require.Contains(t, d.types("unjoin by-hand"), "Warning: Secret karmada-cluster/by-hand of the federation stays")
	require.Equal(t, "theirs", token("eu-impersonator"))
	require.Equal(t, "theirs", token("by-hand"))
}

func TestNamesOfAccountsAreNoNamesOfClusters(t *testing.T) {
	d := newDesk(t)
	for _, line := range []string{"join a-impersonator --member-kubeconfig m", "token create --cluster a-impersonator", "register https://fed:1 --cluster-name a-impersonator --token x --ca-hash y"} {
		require.Contains(t, d.types(line), "names that end in -impersonator")
	}
	require.Contains(t, d.types("unjoin a-impersonator"), "There is no Cluster", "one that is there can be taken out")
}

func TestJoinWithOtherKinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, []byte("agent: {rbac: {kinds: [{apiGroups: [example.com], resources: [things]}]}}"), 0o600))
	d := newDesk(t)
	d.types("join eu --member-kubeconfig m --timeout 0 --values " + file)
	role := &rbacv1.ClusterRole{}
	require.NoError(t, d.member.Get(t.Context(), client.ObjectKey{Name: "flotilla-eu"}, role))
	resources := []string{}
	for _, rule := range role.Rules {
		resources = append(resources, rule.Resources...)
	}
	require.Contains(t, resources, "things")
	require.NotContains(t, resources, "deployments")
	require.Contains(t, resources, "serviceaccounts/token", "in push mode, too, a member can be part of a mesh")
	d.types("join eu --member-kubeconfig m --timeout 0 --cluster-admin")
	require.NoError(t, d.member.Get(t.Context(), client.ObjectKey{Name: "flotilla-eu"}, role))
	require.Equal(t, everything, role.Rules)
}

func TestUnregister(t *testing.T) {
	d := newDesk(t, newCluster("eu", "uid-member", clusterv1alpha1.Pull), newCluster("push", "uid-push", clusterv1alpha1.Push))
	d.types("token create --cluster eu --print-only-token")
	out := d.types("unjoin eu")
	out += d.types("unregister push")
	out += d.types("unregister eu --delete-workloads")
	out += d.types("unregister eu")
	out += d.types("unregister eu")
	golden(t, "unregister", out)

	revoked := &corev1.ConfigMap{}
	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Namespace: "kube-system", Name: "flotilla-revoked-agents"}, revoked))
	require.Contains(t, revoked.Data, "eu")
	require.NotContains(t, revoked.Data, "push")
	tokens, err := listTokens(t.Context(), d.federation)
	require.NoError(t, err)
	require.Empty(t, tokens, "with a token it could come back")
}

func TestTheWrongMemberIsNotTouched(t *testing.T) {
	d := newDesk(t, newCluster("eu", "uid-of-another", clusterv1alpha1.Pull))
	require.Contains(t, d.types("unregister eu --member-kubeconfig m --delete-workloads --yes"), "that is another member")
	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: "eu"}, &clusterv1alpha1.Cluster{}), "nothing was done")
}

func TestWhatAnAgentLeavesIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		values map[string]any
		stays  string
	}{
		"as usual":   {map[string]any{}, "flotilla-agent-identity-of-another"},
		"other name": {map[string]any{"fullnameOverride": "fleet"}, "flotilla-agent-identity"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, newCluster("eu", "uid-member", clusterv1alpha1.Pull))
			values := loader.MergeMaps(testValues(), c.values)
			values["agent"].(map[string]any)["persistence"] = map[string]any{"enabled": true}
			require.NoError(t, d.releases.put(t.Context(), values, false))
			prefix, ok := c.values["fullnameOverride"].(string)
			if !ok {
				prefix = "flotilla"
			}
			for _, secret := range []string{prefix + "-agent-identity", c.stays} {
				require.NoError(t, d.member.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: memberNamespace, Name: secret}}))
			}
			require.Contains(t, d.types("unregister eu --member-kubeconfig m"), "PersistentVolumeClaim flotilla-system/"+prefix+"-agent-state stays")
			left := &corev1.SecretList{}
			require.NoError(t, d.member.List(t.Context(), left))
			require.Len(t, left.Items, 1)
			require.Equal(t, c.stays, left.Items[0].Name)
		})
	}
}

func TestWorkloadsAreNotDeletedUnderAnAgent(t *testing.T) {
	d := newDesk(t, newCluster("eu", "uid-member", clusterv1alpha1.Pull))
	d.types("token create --cluster eu --print-only-token")
	out := d.types("unregister eu --member-kubeconfig m --delete-workloads --yes")
	require.Contains(t, out, "add --agent-stopped")
	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: "eu"}, &clusterv1alpha1.Cluster{}), "nothing was done")
	tokens, err := listTokens(t.Context(), d.federation)
	require.NoError(t, err)
	require.Len(t, tokens, 1)
	require.NotContains(t, d.types("unregister eu --member-kubeconfig m --delete-workloads --yes --agent-stopped"), "was not installed with Helm")
	require.Contains(t, d.types("unregister eu --member-kubeconfig m"), "There is no Helm release")
}

func TestHelp(t *testing.T) {
	d := newDesk(t)
	out := ""
	for _, command := range []string{"", "token create ", "token list ", "token delete ", "register ", "join ", "unregister ", "unjoin ", "mesh ", "mesh status ", "mesh check ", "mesh rotate-root ", "version "} {
		out += d.types(command + "--help")
	}
	golden(t, "help", out)
	require.Contains(t, d.types("completion bash"), "__start_fedctl")
}

func TestNames(t *testing.T) {
	for executable, want := range map[string]string{
		"/usr/bin/fedctl": "fedctl", "kubectl-fed": "kubectl fed", "/x/kubectl-fed.exe": "kubectl fed", "whatever": "fedctl",
	} {
		require.Equal(t, want, NameOf(executable))
	}
}
