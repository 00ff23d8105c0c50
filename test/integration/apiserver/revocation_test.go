package apiserver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

// revoke says that certificates of a cluster's agent count no more, as fedctl does.
func revoke(t *testing.T, cluster string, at string) {
	t.Helper()
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: names.RevokedAgents}}
	if err := fed.Create(t.Context(), configMap); err != nil {
		require.True(t, apierrors.IsAlreadyExists(err), "%v", err)
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"`+cluster+`":"`+at+`"}}`))
	require.NoError(t, fed.Patch(t.Context(), configMap, patch))
	t.Cleanup(func() {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"`+cluster+`":null}}`))
		require.NoError(t, fed.Patch(context.Background(), configMap, patch))
	})
}

// certified is the agent of a cluster with a certificate of the real signer.
func certified(t *testing.T, cluster string, life time.Duration) *rest.Config {
	t.Helper()
	csr, key := requestOf(t, cluster, life)
	made, err := ask(t, fed.admin, csr)
	require.NoError(t, err)
	return sign(t, made, key)
}

func TestRevokedAgentsAreRefused(t *testing.T) {
	t.Parallel()
	uid := func(cfg *rest.Config) error {
		kube, err := kubernetes.NewForConfig(cfg)
		require.NoError(t, err)
		return second(kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}))
	}
	// Short and long ones: the signer may treat them differently one day.
	for cluster, life := range map[string]time.Duration{"revoked-short": 10 * time.Minute, "revoked-long": 720 * time.Hour} {
		old, other := certified(t, cluster, life), certified(t, cluster+"-2", life)
		require.NoError(t, uid(old))
		revoke(t, cluster, identity.Format(time.Now()))
		eventually(t, func() bool {
			err := uid(old)
			require.True(t, err == nil || apierrors.IsUnauthorized(err), "%v", err)
			return err != nil
		}, "%s is refused", cluster)
		require.NoError(t, uid(other), "the others go on")
		csr, _ := requestOf(t, cluster, life)
		_, err := ask(t, old, csr)
		require.True(t, apierrors.IsUnauthorized(err), "it cannot renew: %v", err)
		var refused bool
		eventually(t, func() bool { // the time is in whole seconds
			refused = uid(certified(t, cluster, life)) != nil
			return !refused
		}, "%s joins anew", cluster)
		require.Error(t, uid(old), "the old one stays revoked")
	}

	garbled := certified(t, "revoked-garbled", time.Hour)
	revoke(t, "revoked-garbled", "yesterday")
	eventually(t, func() bool { return apierrors.IsUnauthorized(uid(garbled)) }, "what cannot be read revokes")

	admin := clientFor(t, fed.admin)
	assert.NoError(t, admin.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, &corev1.Namespace{}), "people are not revoked like this")
}
