package registry

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// tooLate is a time that can be read, and not once it was written.
var tooLate = metav1.NewTime(time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600)))

func TestTimesThatCannotBeReadBack(t *testing.T) {
	early := metav1.NewTime(time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 12*3600)))
	last := metav1.NewTime(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
	tests := map[string]struct {
		reason string
		obj    runtime.Object
		want   []string
	}{
		"none":    {"a time that is not set is null", &meshv1alpha1.MeshMember{Status: meshv1alpha1.MeshMemberStatus{Token: &meshv1alpha1.MemberToken{}, CA: &meshv1alpha1.MemberCAStatus{}}}, nil},
		"last":    {"certificates without an end have this one", &meshv1alpha1.MeshMember{Status: meshv1alpha1.MeshMemberStatus{Token: &meshv1alpha1.MemberToken{Expires: last}}}, nil},
		"value":   {"a field", &meshv1alpha1.MeshMember{Status: meshv1alpha1.MeshMemberStatus{Token: &meshv1alpha1.MemberToken{Expires: tooLate}}}, []string{"status.token.expires"}},
		"pointer": {"a pointer", &meshv1alpha1.MeshMember{Status: meshv1alpha1.MeshMemberStatus{CA: &meshv1alpha1.MemberCAStatus{Expires: &early}}}, []string{"status.ca.expires"}},
		"list": {"in a list in a list", &meshv1alpha1.MeshMember{Status: meshv1alpha1.MeshMemberStatus{Peers: []meshv1alpha1.MemberPeerStatus{
			{Name: "ap"}, {Name: "us", Proofs: []meshv1alpha1.Proof{{Since: &tooLate}}},
		}}}, []string{"status.peers[1].proofs[0].since"}},
		"condition": {"in a condition", &clusterv1alpha1.Cluster{Status: clusterv1alpha1.ClusterStatus{Conditions: []metav1.Condition{{LastTransitionTime: tooLate}}}},
			[]string{"status.conditions[0].lastTransitionTime"}},
		"metadata": {"of who owns which field clients say when that was", &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Time: &tooLate}}}},
			[]string{"metadata.managedFields[0].time"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range ValidateTimes(tt.obj) {
				got = append(got, err.Field)
			}
			assert.Equal(t, tt.want, got, tt.reason)
			stored, err := runtime.Encode(StorageCodec(), tt.obj)
			require.NoError(t, err)
			_, err = runtime.Decode(StorageCodec(), stored)
			assert.Equal(t, tt.want != nil, err != nil, "refused is what cannot be read back, and nothing else: %v", err)
		})
	}
}

// Every kind that is stored is written through one of the two strategies, whatever
// its own validation looks at.
func TestStrategiesLookAtTimes(t *testing.T) {
	bare := example()
	bare.Validate, bare.ValidateUpdate, bare.ValidateStatus = nil, nil, nil
	for name, r := range map[string]Resource{"validated": example(), "bare": bare} {
		s := strategy{resource: r, typer: Scheme}
		old, obj := sample("europe", "v1"), sample("europe", "v1")
		obj.Status.Conditions = []metav1.Condition{{Type: "Ready", LastTransitionTime: tooLate}}
		const field = "status.conditions[0].lastTransitionTime"
		require.ErrorContains(t, s.Validate(t.Context(), obj).ToAggregate(), field, name)
		require.ErrorContains(t, s.ValidateUpdate(t.Context(), obj, old).ToAggregate(), field, name)
		require.ErrorContains(t, statusStrategy{s}.ValidateUpdate(t.Context(), obj, old).ToAggregate(), field, name)
	}
}

// A kind in which no time were found would never be looked at.
func TestEveryKindHasTimes(t *testing.T) {
	for _, gv := range []schema.GroupVersion{clusterv1alpha1.GroupVersion, meshv1alpha1.GroupVersion} {
		for kind, known := range Scheme.KnownTypes(gv) {
			if _, ok := reflect.New(known).Interface().(metav1.ObjectMetaAccessor); ok {
				assert.True(t, hasTimes(known), "%s %s has a creationTimestamp", gv, kind)
			}
		}
	}
}
