package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry/registrytest"
)

func TestServedResources(t *testing.T) {
	info, storage, err := Group(registrytest.NoStorage{}, nil)
	require.NoError(t, err)
	served := info.VersionedResourcesStorageMap["v1alpha1"]
	assert.Len(t, served, 3)
	assert.Contains(t, served, "clusters/status")
	assert.Contains(t, served, "clusters/proxy")
	got, err := registrytest.Discover(served["clusters"], &clusterv1alpha1.Cluster{})
	require.NoError(t, err)
	assert.Equal(t, registrytest.Discovered{Columns: "NAME VERSION MODE READY AGE (ZONE) (REGION) (PROVIDER) (API-ENDPOINT)"}, got)

	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: "Pull", Region: "europe"}}
	c.Status.KubernetesVersion = "v1.36.3"
	cells := func() []any {
		table, err := storage.ConvertToTable(t.Context(), c, nil)
		require.NoError(t, err)
		return table.Rows[0].Cells
	}
	assert.Equal(t, []any{"eu", "v1.36.3", "Pull", "Unknown", "<unknown>", "", "europe", "", "<none>"}, cells(), "nothing is known before the first heartbeat")
	c.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False"}}
	c.Spec.APIEndpoint, c.Spec.Zones = "https://x", []string{"a", "b"}
	assert.Equal(t, []any{"eu", "v1.36.3", "Pull", "False", "<unknown>", "a,b", "europe", "", "https://x"}, cells())
}

func TestUpdates(t *testing.T) {
	_, storage, err := Group(registrytest.NoStorage{}, nil)
	require.NoError(t, err)
	ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), "")
	old := &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: "eu", ResourceVersion: "5", Generation: 2},
		Spec:       clusterv1alpha1.ClusterSpec{SyncMode: "Pull", ID: "id"},
		Status:     clusterv1alpha1.ClusterStatus{KubernetesVersion: "v1"},
	}
	obj := old.DeepCopy()
	obj.Spec.Region, obj.Status.KubernetesVersion = "asia", "v2"
	require.NoError(t, rest.BeforeUpdate(storage.UpdateStrategy, ctx, obj, old))
	assert.EqualValues(t, 3, obj.Generation)
	assert.Equal(t, "v1", obj.Status.KubernetesVersion)

	obj = old.DeepCopy()
	obj.Spec.SyncMode = "Push"
	err = rest.BeforeUpdate(storage.UpdateStrategy, ctx, obj, old)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "spec.syncMode")
	assert.True(t, storage.UpdateStrategy.AllowUnconditionalUpdate(), "as elsewhere, clusters are no custom resources")
}

func TestWarnings(t *testing.T) {
	c := &clusterv1alpha1.Cluster{}
	assert.Empty(t, clusters().Warnings(c))
	c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{{}}
	told := clusters().Warnings(c)
	require.Len(t, told, 1)
	assert.Contains(t, told[0], "spec.resourceModels is stored but has no effect")
}
