package heartbeat

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func TestRegister(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		exists *clusterv1alpha1.ClusterSpec
		want   clusterv1alpha1.ClusterSpec
		err    error
		writes int
	}{
		"new":         {"it is created as the flags say", nil, clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Pull", Region: "r"}, nil, 1},
		"known":       {"its spec is the users'", &clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Pull", Region: "theirs"}, clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Pull", Region: "theirs"}, nil, 0},
		"without ID":  {"the ID is filled in", &clusterv1alpha1.ClusterSpec{SyncMode: "Pull"}, clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Pull"}, nil, 1},
		"taken":       {"another member's name is refused", &clusterv1alpha1.ClusterSpec{ID: "other", SyncMode: "Pull"}, clusterv1alpha1.ClusterSpec{ID: "other", SyncMode: "Pull"}, ErrNameTaken, 0},
		"other mode":  {"two agents must not serve one member", &clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Push"}, clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Push"}, ErrMode, 0},
		"other, push": {"nor must a pull agent fill in a push cluster", &clusterv1alpha1.ClusterSpec{SyncMode: "Push"}, clusterv1alpha1.ClusterSpec{SyncMode: "Push"}, ErrMode, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeClusters{}
			if tc.exists != nil {
				f.exists, f.object = true, &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: *tc.exists}
			}
			err := Register(t.Context(), f, Registration{Name: "eu", ID: "me", SyncMode: "Pull", Region: "r"})
			if tc.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tc.err)
				require.ErrorContains(t, err, "cluster eu")
			}
			require.Equal(t, tc.want, f.object.Spec, tc.reason)
			require.Equal(t, tc.writes, f.writes, tc.reason)
		})
	}
	now := metav1.Now()
	leaving := &fakeClusters{exists: true, object: &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: "eu", DeletionTimestamp: &now}, Spec: clusterv1alpha1.ClusterSpec{ID: "me", SyncMode: "Pull"},
	}}
	require.ErrorIs(t, Register(t.Context(), leaving, Registration{Name: "eu", ID: "me", SyncMode: "Pull"}), ErrLeaving, "who takes it for its own has none when it is gone")
	f := &fakeClusters{fail: errDown}
	require.ErrorIs(t, Register(t.Context(), f, Registration{Name: "eu"}), errDown)
}
