package registry

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// What is in etcd is there for years: the version of each kind must not move
// with the order in which versions are registered.
func TestStoredVersions(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "x"}
	for want, obj := range map[string]runtime.Object{
		"cluster.karmada.io/v1alpha1 Cluster":                 &clusterv1alpha1.Cluster{ObjectMeta: meta},
		"mesh.flotilla.io/v1alpha1 Mesh":                      &meshv1alpha1.Mesh{ObjectMeta: meta},
		"mesh.flotilla.io/v1alpha1 MeshMember":                &meshv1alpha1.MeshMember{ObjectMeta: meta},
		"policy.karmada.io/v1alpha1 PropagationPolicy":        &policyv1alpha1.PropagationPolicy{ObjectMeta: meta},
		"policy.karmada.io/v1alpha1 ClusterPropagationPolicy": &policyv1alpha1.ClusterPropagationPolicy{ObjectMeta: meta},
		"policy.karmada.io/v1alpha1 OverridePolicy":           &policyv1alpha1.OverridePolicy{ObjectMeta: meta},
		"policy.karmada.io/v1alpha1 ClusterOverridePolicy":    &policyv1alpha1.ClusterOverridePolicy{ObjectMeta: meta},
		"policy.karmada.io/v1alpha1 FederatedResourceQuota":   &policyv1alpha1.FederatedResourceQuota{ObjectMeta: meta},
		"policy.karmada.io/v1alpha1 ClusterTaintPolicy":       &policyv1alpha1.ClusterTaintPolicy{ObjectMeta: meta},
		"work.karmada.io/v1alpha1 Work":                       &workv1alpha1.Work{ObjectMeta: meta},
		"work.karmada.io/v1alpha2 ResourceBinding":            &workv1alpha2.ResourceBinding{ObjectMeta: meta},
		"work.karmada.io/v1alpha2 ClusterResourceBinding":     &workv1alpha2.ClusterResourceBinding{ObjectMeta: meta},
	} {
		t.Run(want, func(t *testing.T) {
			data, err := runtime.Encode(StorageCodec(), obj)
			require.NoError(t, err)
			var head struct{ APIVersion, Kind string }
			require.NoError(t, json.Unmarshal(data, &head))
			assert.Equal(t, want, head.APIVersion+" "+head.Kind)
			back, err := runtime.Decode(StorageCodec(), data)
			require.NoError(t, err)
			assert.IsType(t, obj, back, "there is no internal type")
		})
	}
}

// A binding that somebody stored as v1alpha1 (a migration) is read as v1alpha2.
func TestReadsOldBindings(t *testing.T) {
	back, err := runtime.Decode(StorageCodec(), []byte(`{"apiVersion":"work.karmada.io/v1alpha1","kind":"ResourceBinding",
		"metadata":{"name":"x","namespace":"ns"},"spec":{"resource":{"apiVersion":"apps/v1","kind":"Deployment","name":"web","replicas":3},"clusters":[{"name":"eu","replicas":3}]}}`))
	require.NoError(t, err)
	b, ok := back.(*workv1alpha2.ResourceBinding)
	require.True(t, ok, "%T", back)
	assert.EqualValues(t, 3, b.Spec.Replicas)
	assert.Equal(t, []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 3}}, b.Spec.Clusters)
}
