package byhand

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// prepared are members with Istio's CRDs and namespace, their label and a CA
// under a root if there is one; networks are by the names of the members. All
// goes again at the test's end.
func prepared(t *testing.T, root *authority, networks map[string]string) map[string]*member {
	t.Helper()
	members := map[string]*member{}
	for name, network := range networks {
		m, err := newMember(name, network, playground.Kubeconfig(name))
		require.NoError(t, err)
		t.Cleanup(func() { m.clean(t) })
		require.NoError(t, istiolab.Prepare(t.Context(), playground.Kubeconfig(name)))
		if network != "" {
			require.NoError(t, m.label(t.Context(), network))
		}
		if root != nil {
			require.NoError(t, m.cacerts(t.Context(), root.cacerts(name)))
		}
		members[name] = m
	}
	return members
}

// clean removes what tests make in a member.
func (m *member) clean(t *testing.T) {
	ctx := context.Background()
	now := metav1.DeleteOptions{}
	_ = m.core.AppsV1().Deployments("default").Delete(ctx, "hello", now)
	_ = m.core.CoreV1().Services("default").Delete(ctx, "hello", now)
	_ = m.core.RbacV1().ClusterRoles().Delete(ctx, reader, now)
	_ = m.core.RbacV1().ClusterRoleBindings().Delete(ctx, reader, now)
	// Namespaces have the root's ConfigMap, which the next istiod would find.
	for _, namespace := range []string{"default", "kube-public"} {
		_ = m.core.CoreV1().ConfigMaps(namespace).Delete(ctx, "istio-ca-root-cert", now)
	}
	_ = m.core.CoreV1().Namespaces().Delete(ctx, istiolab.Namespace, now)
	err := await(ctx, func() error {
		if _, err := m.core.CoreV1().Namespaces().Get(ctx, istiolab.Namespace, metav1.GetOptions{}); err == nil {
			return fmt.Errorf("namespace %s of %s is still there", istiolab.Namespace, m.name)
		}
		pods, err := m.core.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%s still has %d pods", m.name, len(pods.Items))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// shows waits until clusterz of the member shows a peer in a state.
func (m *member) shows(t *testing.T, peer *member, state string) {
	t.Helper()
	eventually(t, fmt.Sprintf("clusterz of %s shows %s %s", m.name, peer.name, state), func() error {
		clusters, err := m.istiod.Clusters(t.Context())
		if err == nil && clusters[peer.name].SyncStatus != state {
			err = fmt.Errorf("%+v", clusters)
		}
		return err
	})
}
