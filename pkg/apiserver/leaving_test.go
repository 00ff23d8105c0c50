package apiserver

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestDepartures(t *testing.T) {
	placed := func(clusters ...string) *workv1alpha2.ResourceBinding {
		b := &workv1alpha2.ResourceBinding{}
		for _, c := range clusters {
			b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c})
		}
		return b
	}
	eu := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: types.UID("1")}}
	leaving := eu.DeepCopy()
	leaving.DeletionTimestamp = &metav1.Time{}
	again := eu.DeepCopy()
	again.UID = "2"
	notFound := apierrors.NewNotFound(clusterv1alpha1.Resource("clusters"), "eu")

	for name, test := range map[string]struct {
		reason        string
		before, after *workv1alpha2.ResourceBinding
		answers       []any // what the store says, one after the other
		removed       bool
	}{
		"policy moved it": {
			reason: "the cluster is there, so the workload is to be deleted in it",
			before: placed("eu", "ap"), after: placed("ap"), answers: []any{eu},
		},
		"cluster is leaving": {
			reason: "the scheduler saw the departure before the projection did",
			before: placed("eu", "ap"), after: placed("ap"), answers: []any{leaving}, removed: true,
		},
		"cluster has left": {
			reason: "the same, later",
			before: placed("eu"), after: placed(), answers: []any{notFound}, removed: true,
		},
		"store does not answer at first": {
			reason: "nothing is passed on before it is known",
			before: placed("eu"), after: placed(), answers: []any{errors.New("etcd is away"), leaving}, removed: true,
		},
		"nothing lost": {
			reason: "no read without need",
			before: placed("eu"), after: placed("eu", "ap"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			removed := false
			get := func(context.Context, string, *metav1.GetOptions) (runtime.Object, error) {
				require.NotEmpty(t, test.answers, test.reason)
				answer := test.answers[0]
				test.answers = test.answers[1:]
				if err, failed := answer.(error); failed {
					return nil, err
				}
				return answer.(runtime.Object), nil
			}
			d := newDepartures(get, func(string) { removed = true })
			require.True(t, d.stays(eu))
			d.check(t.Context(), "binding", lost(test.before, test.after))
			require.Equal(t, test.removed, removed, test.reason)
			require.Empty(t, test.answers)
			require.Equal(t, !test.removed, d.stays(eu), "an older event must not bring a cluster back")
			require.True(t, d.stays(again), "one of the same name that joins later is another")
		})
	}
}
