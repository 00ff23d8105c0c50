package apiserver

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func second[T any](_ T, err error) error { return err }

func first[T, U any](a T, _ U) T { return a }

func inNamespace(ns string) client.ListOption { return client.InNamespace(ns) }

func key(ns, name string) client.ObjectKey { return client.ObjectKey{Namespace: ns, Name: name} }

func newList(apiVersion, kind string) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(apiVersion)
	list.SetKind(kind)
	return list
}

func clusterNamed(name string) *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull}}
}

// allowed asks the server what somebody may do.
func allowed(t *testing.T, cfg *rest.Config, verb, group, resource, namespace string) bool {
	t.Helper()
	kube, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	resource, subresource, _ := strings.Cut(resource, "/")
	review, err := kube.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: namespace,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// /readyz has every check, each once, and those of the federation among them.
func TestReadiness(t *testing.T) {
	t.Parallel()
	answer, err := fed.kube.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").Do(t.Context()).Raw()
	require.NoError(t, err)
	checks := map[string]int{}
	for line := range strings.SplitSeq(string(answer), "\n") {
		if name, ok := strings.CutPrefix(line, "[+]"); ok {
			checks[strings.TrimSuffix(name, " ok")]++
		}
	}
	for name, n := range checks {
		require.Equal(t, 1, n, "%s", name)
	}
	for _, name := range []string{"etcd", "etcd-readiness", "projection", "revocations", "kms-providers", "informer-sync", "shutdown",
		"poststarthook/rbac/bootstrap-roles", "poststarthook/flotilla/bootstrap-roles", "poststarthook/start-projection", "poststarthook/start-encryption-provider-config-automatic-reload"} {
		require.Contains(t, checks, name)
	}
}
