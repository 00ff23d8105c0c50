package secrets

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// established is a mesh that the tests of this package share.
func established(t *testing.T) *meshlab.Session {
	t.Helper()
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6)
	return s
}

// TestRemoteSecretsAreNoKeysToTheHouse: with what is in a remote secret one can
// read what istiod reads, and nothing can be written.
func TestRemoteSecretsAreNoKeysToTheHouse(t *testing.T) {
	s := established(t)
	for _, from := range meshlab.Names {
		require.Error(t, second(s.RemoteSecret(from, from)), "nobody reads itself")
		for _, to := range meshlab.Names {
			if from == to {
				continue
			}
			kubeconfig, err := s.RemoteSecret(from, to)
			require.NoError(t, err)
			require.Len(t, kubeconfig.AuthInfos, 1)
			for _, user := range kubeconfig.AuthInfos {
				allowed := user.DeepCopy()
				allowed.Token, allowed.Extensions = "", nil
				require.Zero(t, *allowed, "%s has more than a token for %s", from, to)
				require.NotEmpty(t, user.Token)
			}
			data, err := clientcmd.Write(*kubeconfig)
			require.NoError(t, err)
			admin, err := clientcmd.LoadFromFile(s.Kubeconfig(to))
			require.NoError(t, err)
			config := rest.CopyConfig(shared.Members[to].Config)
			require.NoError(t, rest.LoadTLSFiles(config))
			require.NotEmpty(t, admin.AuthInfos)
			require.NotEmpty(t, config.KeyData, "the administrator has a key to look for")
			require.False(t, bytes.Contains(data, config.KeyData))

			given, err := clientcmd.RESTConfigFromKubeConfig(data)
			require.NoError(t, err)
			client, err := kubernetes.NewForConfig(given)
			require.NoError(t, err)
			onlyReads(t, client, to)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// ownReviews may be created by everybody: they ask what oneself may do.
var ownReviews = []string{"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}

func onlyReads(t *testing.T, client kubernetes.Interface, to string) {
	t.Helper()
	ctx := t.Context()
	who, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Equal(t, "system:serviceaccount:istio-system:flotilla-mesh-reader", who.Status.UserInfo.Username)
	require.NotContains(t, who.Status.UserInfo.Groups, "system:masters")

	for _, namespace := range []string{"default", "kube-system", istiolab.Namespace} {
		rules, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx,
			&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.False(t, rules.Status.Incomplete)
		require.NotEmpty(t, rules.Status.ResourceRules)
		for _, rule := range rules.Status.ResourceRules {
			if slices.ContainsFunc(rule.Resources, func(r string) bool { return !slices.Contains(ownReviews, r) }) {
				require.Subset(t, []string{"get", "list", "watch"}, rule.Verbs, "in %s of %s: %+v", namespace, to, rule)
			}
			if slices.Contains(rule.Resources, "configmaps") || slices.Contains(rule.Resources, "*") {
				require.Equal(t, istiolab.Namespace, namespace)
				require.Equal(t, []string{"istio"}, rule.ResourceNames)
			}
		}
	}

	meta := metav1.ObjectMeta{Name: "intruder"}
	dry := metav1.CreateOptions{}
	attempts := map[string]func(context.Context) error{
		"create a ConfigMap": func(ctx context.Context) error {
			return second(client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: meta}, dry))
		},
		"create a Secret": func(ctx context.Context) error {
			return second(client.CoreV1().Secrets(istiolab.Namespace).Create(ctx, &corev1.Secret{ObjectMeta: meta}, dry))
		},
		"delete cacerts": func(ctx context.Context) error {
			return client.CoreV1().Secrets(istiolab.Namespace).Delete(ctx, "cacerts", metav1.DeleteOptions{})
		},
		"delete pods": func(ctx context.Context) error {
			return client.CoreV1().Pods("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		"patch a Deployment": func(ctx context.Context) error {
			return second(client.AppsV1().Deployments("default").Patch(ctx, "hello", "application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{}))
		},
		"make itself an administrator": func(ctx context.Context) error {
			return second(client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
				Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: istiolab.Namespace, Name: "flotilla-mesh-reader"}},
			}, dry))
		},
		"make itself another token": func(ctx context.Context) error {
			return second(client.CoreV1().ServiceAccounts(istiolab.Namespace).CreateToken(ctx, "flotilla-mesh-reader", &authenticationv1.TokenRequest{}, dry))
		},
		"read all ConfigMaps": func(ctx context.Context) error {
			return second(client.CoreV1().ConfigMaps(metav1.NamespaceAll).List(ctx, metav1.ListOptions{}))
		},
		"read another ConfigMap": func(ctx context.Context) error {
			return second(client.CoreV1().ConfigMaps(istiolab.Namespace).Get(ctx, "istio-ca-root-cert", metav1.GetOptions{}))
		},
		"read roles": func(ctx context.Context) error {
			return second(client.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{}))
		},
	}
	for what, attempt := range attempts {
		err := attempt(ctx)
		require.True(t, apierrors.IsForbidden(err), "%s in %s: %v", what, to, err)
	}
	_, err = client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	require.NoError(t, err, "it can read what istiod reads")
}

// TestAnAgentReadsItsOwnClusterOnly: credentials and orders of other clusters are
// not for it.
func TestAnAgentReadsItsOwnClusterOnly(t *testing.T) {
	s := established(t)
	eu := s.Path("agents", "eu", "federation.kubeconfig")
	s.Shows(eu, "eu", "get", "meshmembers.mesh.flotilla.io", meshlab.Mesh, "--namespace=karmada-es-eu", "--output=jsonpath={.spec.clusterID}")
	s.Run(eu, "get", "works.work.karmada.io", "--namespace=karmada-es-eu")
	for _, refused := range [][]string{
		{"get", "secret", "mesh-reader-" + meshlab.Mesh, "--namespace=karmada-es-ap"},
		{"get", "secrets", "--namespace=karmada-es-ap"},
		{"get", "secrets", "--all-namespaces"},
		{"get", "secret", "mesh-trust-" + meshlab.Mesh, "--namespace=karmada-system"},
		{"get", "meshmembers.mesh.flotilla.io", meshlab.Mesh, "--namespace=karmada-es-ap"},
		{"get", "meshmembers.mesh.flotilla.io", "--all-namespaces"},
		{"get", "works.work.karmada.io", "--namespace=karmada-es-ap"},
		{"get", "works.work.karmada.io", "mesh." + meshlab.Mesh + ".ca", "--namespace=karmada-es-ap"},
		{"patch", "meshmembers.mesh.flotilla.io", meshlab.Mesh, "--namespace=karmada-es-eu", "--type=merge", "--patch={\"spec\":{\"network\":\"x\"}}"},
		{"patch", "meshmembers.mesh.flotilla.io", meshlab.Mesh, "--namespace=karmada-es-ap", "--subresource=status", "--type=merge", "--patch={\"status\":{\"network\":\"x\"}}"},
		{"patch", "meshes.mesh.flotilla.io", meshlab.Mesh, "--type=merge", "--patch={\"spec\":{\"links\":\"Placement\"}}"},
		{"delete", "secret", "mesh-reader-" + meshlab.Mesh, "--namespace=karmada-es-ap"},
	} {
		require.Contains(t, s.Refused(eu, refused...), "Forbidden", fmt.Sprint(refused))
	}
	s.Run(lab.Fed, "get", "secret", "mesh-reader-"+meshlab.Mesh, "--namespace=karmada-es-ap")
}
