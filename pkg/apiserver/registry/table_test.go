package registry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func TestTable(t *testing.T) {
	table := NewTable(clusterv1alpha1.Resource("clusters"), []Column{
		Text("Region", "Where it is.", func(obj runtime.Object) string { return cluster(obj).Spec.Region }),
		Age(),
		Wide(Text("Zone", "Where in the region.", func(obj runtime.Object) string { return cluster(obj).Spec.Zone })),
	})
	one := sample("europe", "v1")
	one.CreationTimestamp = metav1.NewTime(time.Now().Add(-3*time.Hour - time.Minute))
	two := clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "ap"}}

	got, err := table.ConvertToTable(t.Context(), one, nil)
	require.NoError(t, err)
	var names []string
	var wide []int32
	for _, c := range got.ColumnDefinitions {
		names, wide = append(names, c.Name), append(wide, c.Priority)
		assert.NotEmpty(t, c.Description)
	}
	assert.Equal(t, []string{"Name", "Region", "Age", "Zone"}, names)
	assert.Equal(t, []int32{0, 0, 0, 1}, wide)
	require.Len(t, got.Rows, 1)
	assert.Equal(t, []any{"eu", "europe", "3h1m", ""}, got.Rows[0].Cells)
	assert.Equal(t, one, got.Rows[0].Object.Object)
	assert.Equal(t, "7", got.ResourceVersion)

	list := &clusterv1alpha1.ClusterList{
		ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "more", RemainingItemCount: ptr.To[int64](5)},
		Items:    []clusterv1alpha1.Cluster{*one, two},
	}
	got, err = table.ConvertToTable(t.Context(), list, &metav1.TableOptions{NoHeaders: true})
	require.NoError(t, err)
	assert.Empty(t, got.ColumnDefinitions, "kubectl get -w asks for headers once")
	require.Len(t, got.Rows, 2)
	assert.Equal(t, []any{"ap", "", "<unknown>", ""}, got.Rows[1].Cells)
	assert.Equal(t, list.ListMeta, got.ListMeta)

	_, err = table.ConvertToTable(t.Context(), &metav1.Status{}, nil)
	require.ErrorContains(t, err, "clusters", "it says what could not be shown")
}
