package mesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry/registrytest"
)

type (
	meshType = meshv1alpha1.Mesh
	member   = meshv1alpha1.MeshMember
)

func stores(t *testing.T) *Storages {
	t.Helper()
	_, storages, err := Group(registrytest.NoStorage{})
	require.NoError(t, err)
	return storages
}

func TestServedResources(t *testing.T) {
	info, _, err := Group(registrytest.NoStorage{})
	require.NoError(t, err)
	served := info.VersionedResourcesStorageMap["v1alpha1"]
	assert.Len(t, served, 4)
	assert.Contains(t, served, "meshes/status")
	assert.Contains(t, served, "meshmembers/status")
	got, err := registrytest.Discover(served["meshes"], &meshType{})
	require.NoError(t, err)
	assert.Equal(t, registrytest.Discovered{Columns: "NAME CLUSTERS LINKS READY AGE (MISSING) (ROOT)"}, got)
	got, err = registrytest.Discover(served["meshmembers"], &member{})
	require.NoError(t, err)
	assert.Equal(t, registrytest.Discovered{Namespaced: true, Columns: "NAME CLUSTER NETWORK ISTIOD LEAVING AGE"}, got)
}

func is(name string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: name, Status: status}
}

func TestColumnsOfMesh(t *testing.T) {
	yes, no := is("Trusted", metav1.ConditionTrue), is("GatewayReady", metav1.ConditionFalse)
	tests := map[string]struct {
		reason string
		status meshv1alpha1.MeshStatus
		want   []any
	}{
		"new": {"nothing was looked at yet", meshv1alpha1.MeshStatus{}, []any{"0/0", "0/0", "Unknown", "<unknown>", "<none>", "<none>"}},
		"ready": {"all is well", meshv1alpha1.MeshStatus{
			Conditions: []metav1.Condition{is("Ready", metav1.ConditionTrue)},
			Trust:      &meshv1alpha1.MeshTrustStatus{Stage: "Steady"},
			Clusters:   []meshv1alpha1.MeshCluster{{Name: "ap", Conditions: []metav1.Condition{yes}}, {Name: "eu", Conditions: []metav1.Condition{yes, yes}}},
			Links:      []meshv1alpha1.MeshLink{{From: "ap", To: "eu", Phase: "Ready"}, {From: "eu", To: "ap", Phase: "Ready"}},
		}, []any{"2/2", "2/2", "True", "<unknown>", "<none>", "Steady"}},
		"parts": {"a cluster of which nothing is said is not ready; a link that names no step is called by its phase", meshv1alpha1.MeshStatus{
			Conditions: []metav1.Condition{is("Ready", metav1.ConditionFalse)},
			Trust:      &meshv1alpha1.MeshTrustStatus{},
			Clusters:   []meshv1alpha1.MeshCluster{{Name: "ap"}, {Name: "eu", Conditions: []metav1.Condition{yes}}, {Name: "us", Conditions: []metav1.Condition{yes, no}}},
			Links: []meshv1alpha1.MeshLink{
				{From: "ap", To: "eu", Phase: "Ready"}, {From: "eu", To: "ap", Phase: "Pending", Step: "Probe"},
				{From: "us", To: "ap", Phase: "Withdrawn", Step: "Token"}, {From: "us", To: "eu", Phase: "Withdrawn"}, {From: "eu", To: "us"},
			},
		}, []any{"1/3", "1/5", "False", "<unknown>", "eu>ap Probe,us>ap Token,us>eu Withdrawn,eu>us Unknown", "<none>"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table, err := stores(t).Meshes.ConvertToTable(t.Context(), &meshType{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}, Status: tt.status}, nil)
			require.NoError(t, err)
			assert.Equal(t, append([]any{"mesh1"}, tt.want...), table.Rows[0].Cells, tt.reason)
		})
	}
}

func TestColumnsOfMeshMember(t *testing.T) {
	m := &member{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}, Spec: meshv1alpha1.MeshMemberSpec{MeshID: "mesh1", ClusterID: "eu", Network: "network-eu"}}
	cells := func() []any {
		table, err := stores(t).MeshMembers.ConvertToTable(t.Context(), m, nil)
		require.NoError(t, err)
		return table.Rows[0].Cells
	}
	assert.Equal(t, []any{"mesh1", "eu", "network-eu", "<none>", "No", "<unknown>"}, cells(), "the agent has said nothing yet")
	m.Status.Istiod, m.Spec.Leaving = &meshv1alpha1.MemberIstiod{Version: "1.31.1"}, true
	assert.Equal(t, []any{"mesh1", "eu", "network-eu", "1.31.1", "Yes", "<unknown>"}, cells())
	m.Status.Istiod.Version, m.Status.Conditions = "", []metav1.Condition{is("Left", metav1.ConditionTrue)}
	assert.Equal(t, []any{"mesh1", "eu", "network-eu", "<none>", "Left", "<unknown>"}, cells())
	m.Spec.Leaving = false
	assert.Equal(t, "No", cells()[4], "it came back, and what it said is about the last time")
}

// What is stored is complete, so that controllers and agents need no defaults of
// their own.
func TestDefaults(t *testing.T) {
	obj, err := runtime.Decode(registry.StorageCodec(), []byte(`{"apiVersion":"mesh.flotilla.io/v1alpha1","kind":"Mesh","metadata":{"name":"mesh1"}}`))
	require.NoError(t, err)
	m := obj.(*meshType)
	assert.Equal(t, meshv1alpha1.DefaultTokenTTL, m.Spec.RemoteAccess.TokenTTL.Duration)
	assert.Equal(t, "cluster.local", m.Spec.Trust.TrustDomain)
	m.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}
	assert.Empty(t, meshes().Validate(m), "the defaults are valid")
}

func newMesh() *meshType {
	m := &meshType{ObjectMeta: metav1.ObjectMeta{Name: "mesh1", ResourceVersion: "5", Generation: 2}}
	m.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}
	meshv1alpha1.SetDefaults_Mesh(m)
	m.Status.ObservedGeneration = 2
	return m
}

func TestUpdatesOfMesh(t *testing.T) {
	store, ctx := stores(t).Meshes, genericapirequest.WithNamespace(genericapirequest.NewContext(), "")
	old := newMesh()

	m := old.DeepCopy()
	m.Spec.WithdrawAfter.Duration, m.Status.ObservedGeneration = time.Hour, 7
	require.NoError(t, rest.BeforeUpdate(store.UpdateStrategy, ctx, m, old))
	assert.EqualValues(t, 3, m.Generation)
	assert.EqualValues(t, 2, m.Status.ObservedGeneration, "the status is another resource")

	m = old.DeepCopy()
	m.Finalizers = []string{meshv1alpha1.MeshFinalizer}
	require.NoError(t, rest.BeforeUpdate(store.UpdateStrategy, ctx, m, old))
	assert.EqualValues(t, 2, m.Generation)

	m = old.DeepCopy()
	m.Spec.Trust.RootGeneration = 5
	err := rest.BeforeUpdate(store.UpdateStrategy, ctx, m, old)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	assert.False(t, store.UpdateStrategy.AllowUnconditionalUpdate(), "nobody overwrites what he has not seen")

	m = old.DeepCopy()
	m.Spec.Trust.Adopt, m.Status.ObservedGeneration = true, 3
	meshes().OnStatus(m, old)
	assert.False(t, m.Spec.Trust.Adopt, "status is status")
	assert.EqualValues(t, 3, m.Status.ObservedGeneration)
	assert.Empty(t, meshes().ValidateStatus(m, old))
	m.Status.Links = []meshv1alpha1.MeshLink{{From: "eu"}}
	assert.NotEmpty(t, meshes().ValidateStatus(m, old))

	m = old.DeepCopy()
	rest.FillObjectMetaSystemFields(m)
	require.NoError(t, rest.BeforeCreate(store.CreateStrategy, ctx, m))
	assert.Zero(t, m.Status.ObservedGeneration, "nobody is born with a status")
	assert.EqualValues(t, 1, m.Generation)
}

func TestUpdatesOfMeshMember(t *testing.T) {
	store, ctx := stores(t).MeshMembers, genericapirequest.WithNamespace(genericapirequest.NewContext(), "karmada-es-eu")
	old := &member{
		ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh1", ResourceVersion: "5", Generation: 2},
		Spec:       meshv1alpha1.MeshMemberSpec{MeshID: "mesh1", ClusterID: "eu", Network: "network-eu"},
		Status:     meshv1alpha1.MeshMemberStatus{Network: "network-eu"},
	}
	m := old.DeepCopy()
	m.Spec.Leaving, m.Status.Network = true, ""
	require.NoError(t, rest.BeforeUpdate(store.UpdateStrategy, ctx, m, old))
	assert.EqualValues(t, 3, m.Generation)
	assert.Equal(t, "network-eu", m.Status.Network)

	m = old.DeepCopy()
	m.Spec.Leaving, m.Status.Network = true, ""
	members().OnStatus(m, old)
	assert.False(t, m.Spec.Leaving, "what an agent is to do is not for the agent to say")
	assert.Empty(t, m.Status.Network)
	assert.Empty(t, members().ValidateStatus(m, old))
	m.Status.Peers = []meshv1alpha1.MemberPeerStatus{{}}
	assert.NotEmpty(t, members().ValidateStatus(m, old))

	m = old.DeepCopy()
	m.Spec.MeshID = "mesh2"
	err := rest.BeforeUpdate(store.UpdateStrategy, ctx, m, old)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	elsewhere := genericapirequest.WithNamespace(genericapirequest.NewContext(), "default")
	m = old.DeepCopy()
	m.Namespace = "default"
	rest.FillObjectMetaSystemFields(m)
	err = rest.BeforeCreate(store.CreateStrategy, elsewhere, m)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
}

func TestWarnings(t *testing.T) {
	named := func(selected, excluded []string) func(*meshv1alpha1.MeshSpec) {
		return func(s *meshv1alpha1.MeshSpec) {
			s.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: selected, ExcludeClusters: excluded}
			s.Networks = []meshv1alpha1.MeshNetwork{{Name: "vpc", ClusterNames: []string{"eu", "ap"}}}
			s.Gateway.Addresses = []meshv1alpha1.ClusterAddresses{{ClusterName: "ap", Addresses: []string{"203.0.113.7"}}}
			s.RemoteAccess.Servers = []meshv1alpha1.MeshServer{{ClusterName: "ap", URL: "https://ap"}}
		}
	}
	left := []string{"spec.networks[0].clusterNames[1]: has no effect", "spec.gateway.addresses[0].clusterName: has no effect", "spec.remoteAccess.servers[0].clusterName: has no effect"}
	tests := map[string]struct {
		reason string
		change func(*meshv1alpha1.MeshSpec)
		want   []string // how each warning begins
	}{
		"defaults":  {"they need nothing", func(*meshv1alpha1.MeshSpec) {}, nil},
		"all named": {"each of them is in the mesh", named([]string{"eu", "ap"}, nil), nil},
		"left out":  {"settings of a cluster that is not in the mesh", named([]string{"eu"}, nil), left},
		"excluded":  {"it is in both lists", named([]string{"eu", "ap"}, []string{"ap"}), left},
		"by label": {"who matches is known later", func(s *meshv1alpha1.MeshSpec) {
			named(nil, nil)(s)
			s.ClusterAffinity.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, nil},
		"empty name": {"the affinity is that of policies", func(s *meshv1alpha1.MeshSpec) {
			s.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu", ""}}
		}, []string{"spec.clusterAffinity.clusterNames[1]: an empty name"}},
		"adopt":      {"calls can fail", func(s *meshv1alpha1.MeshSpec) { s.Trust.Adopt = true }, []string{"spec.trust.adopt: "}},
		"no secrets": {"istiod would end with a panic", func(s *meshv1alpha1.MeshSpec) { s.RemoteAccess.Secrets = meshv1alpha1.SecretsNone }, []string{"spec.remoteAccess.secrets: "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMesh()
			tt.change(&m.Spec)
			assert.Empty(t, meshes().Validate(m), "it is taken")
			told := meshes().Warnings(m)
			require.Len(t, told, len(tt.want), "%s: %q", tt.reason, told)
			for i := range told {
				assert.Contains(t, told[i], tt.want[i], tt.reason)
			}
		})
	}
}
